"""Which kernels does each call of a torch operator launch on a GPU, and how long do they take?

    python -m benchmarks.operations [--only WORD] [--json FILE]

What `estimator/trace/kernels.py` counts, and how long `estimator/jobs/traffic.py` and
`estimator/jobs/stand_ins.py` take kernels to be that wait for something else than memory, was read
off here on an H200 (torch 2.11, cuDNN 9.19). A line a case: its name, microseconds of all its
kernels, kernels, and the fills and copies of memory that the driver does itself; `--json` has each
kernel. Needs a GPU and torch; about a minute.

All cases run under one profiler, apart by a kernel that only waits. Operands that fit lie in the
cache: cases marked "cold" go round as many copies as fill 256 MiB.
"""

# mypy: disable-error-code="misc"
# the type of a lambda whose operands are its defaults is not inferred

from __future__ import annotations

import argparse
import itertools
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile

Call = Callable[[], Any]
#: a name, and what makes the operands and returns the call
Case = tuple[str, Callable[[], Call]]

aten = torch.ops.aten
REPEATS = 3
MARK = "spin_kernel"  # of torch.cuda._sleep
CASES_AT_ONCE = 100
COLD_BYTES = 2**28
#: name of a type of products -> element type, and whether float32 may be rounded
MODES = {
    "bf16": (torch.bfloat16, False),
    "f16": (torch.float16, False),
    "tf32": (torch.float32, True),
    "f32": (torch.float32, False),
}
TYPES = {"bf16": torch.bfloat16, "f32": torch.float32}
OTHER = {torch.bfloat16: torch.float32, torch.float32: torch.bfloat16}


@dataclass(frozen=True)
class Seen:
    """One call of a case; ``by_kernel``: how often each kernel runs, and its microseconds."""

    name: str
    us: float
    kernels: float
    fills: float
    copies: float
    by_kernel: dict[str, tuple[float, float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="cases whose name has this word")
    parser.add_argument("--json", help="file for all kernels of all cases")
    args = parser.parse_args()
    torch.set_grad_enabled(False)
    found: list[Seen] = []
    chosen = [case for case in cases() if args.only in case[0]]
    for start in range(0, len(chosen), CASES_AT_ONCE):
        for seen in measured(chosen[start : start + CASES_AT_ONCE]):
            found.append(seen)
            print(
                f"{seen.name:60s} {seen.us:10.1f} us {seen.kernels:7.1f} kernels "
                f"{seen.fills:5.1f} fills {seen.copies:5.1f} copies",
                flush=True,
            )
    if args.json:
        versions = {"torch": torch.__version__, "cudnn": torch.backends.cudnn.version()}
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump({**versions, "cases": [asdict(seen) for seen in found]}, file)


def measured(chosen: list[Case]) -> Iterator[Seen]:
    """Each case twice to begin with, then REPEATS times, between marks."""
    with profile(activities=[ProfilerActivity.CUDA]) as recording:
        for name, make in chosen:
            torch.cuda._sleep(1)
            call: Call | None = None
            try:
                call = make()
                call()
                call()
            except (RuntimeError, TypeError, ValueError) as error:  # not in this library
                print(f"{name}: {type(error).__name__}: {str(error).splitlines()[0][:100]}")
                call = None
            torch.cuda._sleep(1)
            if call is not None:
                for _ in range(REPEATS):
                    call()
        torch.cuda._sleep(1)
        torch.cuda.synchronize()
    torch.cuda.empty_cache()
    events = [
        event
        for event in recording.profiler.kineto_results.events()
        if event.device_type() == torch.autograd.DeviceType.CUDA
    ]
    parts: list[list[Any]] = []
    for event in sorted(events, key=lambda event: event.start_ns()):
        if MARK in event.name():
            parts.append([])
        elif parts:
            parts[-1].append(event)
    for (name, _), part in zip(chosen, parts[1::2], strict=False):
        if part:
            yield _seen(name, part)


def _seen(name: str, events: list[Any]) -> Seen:
    counts: Counter[str] = Counter()
    times: Counter[str] = Counter()
    for event in events:
        counts[event.name()[:160]] += 1
        times[event.name()[:160]] += event.duration_ns() / 1e3

    def each(value: float) -> float:
        return round(value / REPEATS, 2)

    fills, copies = (
        sum(count for kernel, count in counts.items() if kernel.startswith(word))
        for word in ("Memset", "Memcpy")
    )
    return Seen(
        name,
        each(sum(times.values())),
        each(sum(counts.values()) - fills - copies),
        each(fills),
        each(copies),
        {kernel: (each(count), each(times[kernel])) for kernel, count in counts.items()},
    )


def given(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(*shape, device="cuda").to(dtype)


def whole(most: int, *shape: int) -> torch.Tensor:
    return torch.randint(0, most, shape, device="cuda")


def asking(call: Callable[[Any], Any], operand: Any) -> Call:
    return lambda: call(operand)


def rounding(tf32: bool, call: Call) -> Call:
    def run() -> Any:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
        return call()

    return run


def backward(call: Call, *wanted: torch.Tensor) -> Call:
    """The backward pass of a call, whose graph is kept."""
    for one in wanted:
        one.requires_grad_()
    with torch.enable_grad():
        out = call()
        out = out[0] if isinstance(out, tuple) else out
    grad = torch.randn_like(out)
    return lambda: torch.autograd.grad(out, wanted, grad, retain_graph=True)


def both(name: str, make: Callable[[], tuple[Call, list[torch.Tensor]]]) -> Iterator[Case]:
    """A layer's forward and backward pass."""
    yield name, lambda: make()[0]

    def back() -> Call:
        call, wanted = make()
        return backward(call, *wanted)

    yield f"{name} backward", back


# -- the cases -----------------------------------------------------------------------------------


def cases() -> Iterator[Case]:
    for part in (products, convolutions, norms, rows, maps, indices, attention, lists, recurrent,
                 images):  # fmt: skip
        yield from part()


def products() -> Iterator[Case]:
    """Forward (x w^T), gradient of x (g w) and of w (g^T x) of layers."""

    def make(mode: str, m: int, n: int, k: int, layout: str, bias: bool) -> Call:
        dtype, tf32 = MODES[mode]
        a = given(k, m, dtype=dtype).t() if layout[0] == "t" else given(m, k, dtype=dtype)
        b = given(n, k, dtype=dtype).t() if layout[1] == "t" else given(k, n, dtype=dtype)
        added = given(n, dtype=dtype)
        return rounding(tf32, lambda: aten.addmm(added, a, b) if bias else aten.mm(a, b))

    layers = ((128, 10), (256, 256), (768, 3072), (3072, 768), (4096, 4096), (4096, 11008),
              (768, 50304), (768, 50257))  # fmt: skip
    for mode, (into, out), count in itertools.product(MODES, layers, (1, 64, 1024, 8192)):
        for m, n, k, layout in (
            (count, out, into, "nt"),
            (count, into, out, "nn"),
            (out, into, count, "tn"),
        ):
            for bias in (False, True) if layout == "nt" else (False,):
                yield (
                    f"{'addmm' if bias else 'mm'} {mode} {m}x{n}x{k} {layout}",
                    lambda a=(mode, m, n, k, layout, bias): make(*a),
                )


#: images, channels in, channels out, side, kernel, stride, padding, groups
LAYERS = (
    (64, 3, 64, 224, 7, 2, 3, 1), (64, 64, 64, 56, 3, 1, 1, 1), (64, 64, 256, 56, 1, 1, 0, 1),
    (64, 128, 128, 56, 3, 2, 1, 1), (64, 256, 512, 56, 1, 2, 0, 1), (64, 512, 2048, 7, 1, 1, 0, 1),
    (64, 512, 512, 7, 3, 1, 1, 1), (256, 128, 128, 28, 3, 1, 1, 1), (1, 256, 256, 64, 3, 1, 1, 1),
    (1, 128, 256, 128, 3, 2, 1, 1), (4, 3, 64, 256, 9, 1, 4, 1), (64, 1, 32, 28, 3, 1, 0, 1),
    (64, 3, 768, 224, 16, 16, 0, 1), (16, 320, 320, 64, 3, 1, 1, 1), (16, 512, 256, 16, 1, 1, 0, 1),
    (64, 144, 144, 56, 3, 1, 1, 144), (64, 384, 384, 14, 7, 1, 3, 384),
    (64, 256, 256, 56, 3, 1, 1, 32), (1, 64, 3, 262, 7, 1, 0, 1),
)  # fmt: skip


def convolutions() -> Iterator[Case]:
    def make(mode: str, last: bool, layer: tuple[int, ...], part: str) -> Call:
        batch, into, out, side, kernel, stride, padding, groups = layer
        dtype, tf32 = MODES[mode]
        form = torch.channels_last if last else torch.contiguous_format
        x = given(batch, into, side, side, dtype=dtype).to(memory_format=form)
        w = given(out, into // groups, kernel, kernel, dtype=dtype).to(memory_format=form)
        where = ((stride,) * 2, (padding,) * 2, (1, 1), False, (0, 0), groups)
        forward = rounding(tf32, lambda: aten.convolution(x, w, None, *where))
        if not part:
            return forward
        grad, mask = torch.randn_like(forward()), [part == "of x", part == "of w", False]
        return rounding(tf32, lambda: aten.convolution_backward(grad, x, w, [0], *where, mask))

    for mode, last, layer in itertools.product(MODES, (False, True), LAYERS):
        batch, into, out, side, kernel, stride, _, groups = layer
        name = f"{mode}{' last' if last else ''} {batch}x{into}>{out} {side} k{kernel} s{stride}"
        for part in ("", "of x", "of w"):
            yield (
                f"convolution {part} {name} g{groups}",
                lambda a=(mode, last, layer, part): make(*a),
            )


def norms() -> Iterator[Case]:
    def make(
        kind: str, size: tuple[int, ...], dtype: torch.dtype, last: bool
    ) -> tuple[Call, list[torch.Tensor]]:
        x = given(*size, dtype=dtype)
        x = x.to(memory_format=torch.channels_last) if last else x
        mean, var, w, b = (torch.ones(size[1], device="cuda") for _ in range(4))
        if kind == "group norm":
            w, b = w.to(dtype), b.to(dtype)
            return lambda: functional.group_norm(x, 32, w, b), [x, w, b]
        if kind == "instance norm":
            return lambda: functional.instance_norm(x), [x]
        return lambda: functional.batch_norm(x, mean, var, w, b, kind == "batch norm"), [x, w, b]

    sizes = (
        (64, 64, 112, 112),
        (64, 256, 56, 56),
        (64, 512, 14, 14),
        (1, 256, 64, 64),
        (512, 1024),
    )
    kinds = ("batch norm", "batch norm evaluation", "instance norm", "group norm")
    for kind, size, (tag, dtype), last in itertools.product(
        kinds, sizes, TYPES.items(), (False, True)
    ):
        if len(size) == 4 or not (last or kind in kinds[2:]):
            name = f"{kind} {tag}{' last' if last else ''} {'x'.join(map(str, size))}"
            yield from both(name, lambda a=(kind, size, dtype, last): make(*a))


def rows() -> Iterator[Case]:
    def make(
        kind: str, count: int, width: int, dtype: torch.dtype
    ) -> tuple[Call, list[torch.Tensor]]:
        x, w, b = (given(*shape, dtype=dtype) for shape in ((count, width), (width,), (width,)))
        target = whole(width, count)
        calls: dict[str, tuple[Call, list[torch.Tensor]]] = {
            "layer norm": (lambda: functional.layer_norm(x, (width,), w, b), [x, w, b]),
            "softmax": (lambda: functional.softmax(x, -1), [x]),
            "log softmax": (lambda: functional.log_softmax(x, -1), [x]),
            "cross entropy": (lambda: functional.cross_entropy(x, target), [x]),
            "mse": (lambda: functional.mse_loss(x, torch.zeros_like(x)), [x]),
            "sum of rows": (lambda: x.sum(1), [x]),
            "sum of columns": (lambda: x.sum(0), [x]),
            "sum of all": (x.sum, [x]),
        }
        return calls[kind]

    sizes = ((256, 512), (4096, 64), (2048, 768), (12288, 768), (8192, 4096), (32768, 256))
    kinds = ("layer norm", "softmax", "log softmax", "cross entropy", "mse", "sum of rows",
             "sum of columns", "sum of all")  # fmt: skip
    for kind, (count, width), (tag, dtype) in itertools.product(kinds, sizes, TYPES.items()):
        yield from both(
            f"{kind} {tag} {count}x{width}", lambda a=(kind, count, width, dtype): make(*a)
        )


def maps() -> Iterator[Case]:
    calls: dict[str, tuple[int, Callable[..., Any]]] = {
        "add": (2, torch.add), "gelu": (1, functional.gelu), "clone": (1, torch.clone),
        "other type": (1, lambda x: x.to(OTHER[x.dtype])),
        "gelu backward": (2, aten.gelu_backward), "fill": (1, lambda x: x.fill_(1.0)),
        "dropout": (1, lambda x: aten.native_dropout(x, 0.1, True)),
        "broadcast": (1, lambda x: x + x[:1]), "columns": (1, lambda x: x * x[:, :1]),
        "turned": (1, lambda x: x.t().contiguous()),
        "slice": (1, lambda x: x[:, :512].contiguous()),
        "halves joined": (1, lambda x: torch.cat((x[:, 512:], x[:, :512]), 1)),
    }  # fmt: skip

    def make(count: int, call: Any, dtype: torch.dtype, elements: int, cold: bool) -> Call:
        def operands() -> tuple[torch.Tensor, ...]:
            return tuple(given(elements // 1024, 1024, dtype=dtype) for _ in range(count))

        size = count * elements * torch.empty((), dtype=dtype).element_size()
        sets = [operands() for _ in range(math.ceil(COLD_BYTES / size) if cold else 1)]
        turn = itertools.cycle(sets)
        return lambda: call(*next(turn))

    for (name, (count, call)), (tag, dtype), elements, cold in itertools.product(
        calls.items(), TYPES.items(), (2**20, 2**23, 2**25), (False, True)
    ):
        yield (
            f"{name} {tag} {elements}{' cold' if cold else ''}",
            lambda a=(count, call, dtype, elements, cold): make(*a),
        )
    for count in (2, 128, 129, 300):
        yield f"cat of {count}", lambda count=count: asking(torch.cat, [given(64)] * count)


def indices() -> Iterator[Case]:
    calls: dict[str, Callable[..., Any]] = {
        "embedding": lambda w, i, g: aten.embedding(w, i),
        "embedding backward": lambda w, i, g: aten.embedding_dense_backward(
            g, i, len(w), -1, False
        ),
        "index_put": lambda w, i, g: w.index_put((i,), g),
        "index_put accumulate": lambda w, i, g: w.index_put((i,), g, accumulate=True),
        "index_add": lambda w, i, g: w.index_add(0, i, g),
        "scatter_add": lambda w, i, g: w.scatter_add(0, i[:, None].expand_as(g), g),
    }
    sizes = ((512, 33278, 512), (3072, 1000, 64), (8192, 50257, 768), (65536, 1000, 64))
    for (name, call), (count, table, width) in itertools.product(calls.items(), sizes):

        def make(call: Any, count: int, table: int, width: int) -> Call:
            operands = given(table, width), whole(table, count), given(count, width)
            return lambda: call(*operands)

        yield (
            f"{name} {count} of {table}x{width}",
            lambda make=make, a=(call, count, table, width): make(*a),
        )
    ordered: dict[str, Callable[[torch.Tensor], Any]] = {
        "sort": lambda x: x.sort(-1), "topk": lambda x: x.topk(2), "cumsum": lambda x: x.cumsum(-1),
        "nonzero": torch.nonzero, "mask": lambda x: x[x > 0], "unique": lambda x: x.long().unique(),
        "argmax": lambda x: x.argmax(-1), "multinomial": lambda x: x.abs()[:, :4096].multinomial(1),
        "logsumexp": lambda x: x.logsumexp(-1), "randperm": lambda x: torch.randperm(
            x.numel(), device="cuda"),
    }  # fmt: skip
    for (name, ask), size in itertools.product(
        ordered.items(), ((16, 50257), (8192, 64), (1, 1_000_000), (1024, 2048))
    ):
        yield (
            f"{name} {size[0]}x{size[1]}",
            lambda ask=ask, size=size: asking(ask, given(*size)),
        )


def attention() -> Iterator[Case]:
    def make(
        shape: tuple[int, ...], dtype: torch.dtype, how: str
    ) -> tuple[Call, list[torch.Tensor]]:
        q, k, v = (given(*shape, dtype=dtype) for _ in range(3))
        mask = torch.ones(1, 1, shape[2], shape[2], device="cuda", dtype=torch.bool)
        mask = mask.expand(shape[0], shape[1], -1, -1) if how == "mask" else None
        dropout = 0.1 if how == "dropout" else 0.0
        causal = how in ("causal", "dropout")
        return lambda: functional.scaled_dot_product_attention(q, k, v, mask, dropout, causal), [
            q,
            k,
            v,
        ]

    shapes = ((8, 12, 1024, 64), (64, 12, 197, 64), (4, 32, 2048, 128), (8, 12, 128, 40))
    hows = ("causal", "full", "mask", "dropout")
    for shape, (tag, dtype), how in itertools.product(shapes, TYPES.items(), hows):
        name = f"attention {tag} {'x'.join(map(str, shape))} {how}"
        yield from both(name, lambda a=(shape, dtype, how): make(*a))


def lists() -> Iterator[Case]:
    block = [(768, 2304), (2304,), (768, 768), (768,), (768, 3072), (3072,), (3072, 768), (768,)]
    models = {"gpt2": [(50257, 768), (1024, 768), *block * 12], "small": [(64, 64), (64,)] * 4}
    calls: dict[str, tuple[int, Callable[..., Any]]] = {
        "mul_": (1, lambda a: torch._foreach_mul_(a, 0.9)),
        "add": (2, torch._foreach_add),
        "addcdiv_": (3, torch._foreach_addcdiv_),
        "sqrt": (1, torch._foreach_sqrt),
        "norm": (1, torch._foreach_norm),
        "adamw": (4, lambda a, b, c, d: torch._fused_adamw_(
            a, b, c, d, [], [torch.ones((), device="cuda")] * len(a), lr=1e-4, beta1=0.9,
            beta2=0.99, weight_decay=0.1, eps=1e-8, amsgrad=False, maximize=False)),
    }  # fmt: skip
    for (model, shapes), (name, (count, call)) in itertools.product(models.items(), calls.items()):

        def make(shapes: Any, count: int, call: Any) -> Call:
            tensors = [[given(*shape).abs() for shape in shapes] for _ in range(count)]
            return lambda: call(*tensors)

        yield f"list {name} {model}", lambda make=make, a=(shapes, count, call): make(*a)


def recurrent() -> Iterator[Case]:
    sizes = (
        ("LSTM", 35, 20, 650, 2, False), ("LSTM", 128, 64, 512, 2, False),
        ("LSTM", 100, 64, 128, 2, True), ("LSTM", 28, 64, 64, 1, False),
        ("GRU", 100, 64, 512, 1, False), ("RNN", 35, 20, 200, 2, False),
    )  # fmt: skip

    def make(mode: str, packed: bool, kind: str, *size: int) -> tuple[Call, list[torch.Tensor]]:
        steps, batch, width, layers, ways = size
        dtype, tf32 = MODES[mode]
        net = getattr(torch.nn, kind)(width, width, layers, bidirectional=bool(ways))
        net = net.to("cuda", dtype)
        x: Any = given(steps, batch, width, dtype=dtype)
        if packed:
            lengths = torch.linspace(steps, steps // 3, batch).long()
            x = torch.nn.utils.rnn.pack_padded_sequence(x, lengths)
        call = rounding(tf32, lambda: net(x)[0].data if packed else net(x)[0])
        return call, list(net.parameters())

    for size, mode, packed in itertools.product(sizes, ("tf32", "f32", "f16"), (False, True)):
        name = f"{' '.join(map(str, size))} {mode}{' packed' if packed else ''}"
        yield from both(name, lambda a=(mode, packed, *size): make(*a))


def images() -> Iterator[Case]:
    calls: dict[str, Callable[[torch.Tensor], Any]] = {
        "max pool": lambda x: functional.max_pool2d(x, 3, 2, 1),
        "average pool": lambda x: functional.avg_pool2d(x, 2),
        "adaptive pool": lambda x: functional.adaptive_avg_pool2d(x, 7),
        "nearest": lambda x: functional.interpolate(x, scale_factor=2),
        "bilinear 2": lambda x: functional.interpolate(x, scale_factor=2, mode="bilinear"),
        "bilinear 8": lambda x: functional.interpolate(x, scale_factor=8, mode="bilinear"),
        "reflection": lambda x: functional.pad(x, (1, 1, 1, 1), mode="reflect"),
        "zeros": lambda x: functional.pad(x, (1, 1, 1, 1)),
        "pixel shuffle": lambda x: functional.pixel_shuffle(x, 2),
    }
    for (name, call), (tag, dtype) in itertools.product(calls.items(), TYPES.items()):

        def make(call: Any, dtype: torch.dtype) -> tuple[Call, list[torch.Tensor]]:
            x = given(16, 64, 64, 64, dtype=dtype)
            return lambda: call(x), [x]

        yield from both(f"{name} {tag}", lambda make=make, a=(call, dtype): make(*a))


if __name__ == "__main__":
    main()
