"""What the suites measure of the family training_step."""

from __future__ import annotations

from collections.abc import Iterator

from collector.workloads._base import GridPoint, points, sizes
from collector.workloads._types import BF16, F32, TF32

_BATCHES = (16, 100, 1000, 16_384)
_MLP = ((64, 64), (64, 256), (256, 256), (1000, 250), (256, 1024), (4096, 1024))
_RESNET_CPU = (1, 4, 12, 16)
_TRANSFORMER_CPU = ((1, 32), (2, 64), (4, 100))
_TRANSFORMER_CUDA = ((4, 64), (8, 128), (16, 250))


def mlp_sizes(*chosen: tuple[int, int]) -> list[dict[str, int]]:
    """Parameters of networks by (batch, width)."""
    return [{"batch": batch, "width": width} for batch, width in chosen]


def token_sizes(*chosen: tuple[int, int]) -> list[dict[str, int]]:
    """Parameters of transformers by (batch, sequence)."""
    return [{"batch": batch, "sequence": sequence} for batch, sequence in chosen]


def cpu_grid(suite: str) -> Iterator[GridPoint]:
    quick, hot, dtypes = suite == "quick", ("hot",), (F32,)
    yield from points("simple_net_adam", sizes("batch", (100,) if quick else _BATCHES), dtypes, hot)
    batches = (64,) if quick else (16, 64, 1000, 16_384)
    yield from points("linear_sgd", sizes("batch", batches), dtypes, hot)
    yield from points("mlp_adam", mlp_sizes(*(_MLP[2:3] if quick else _MLP[:-1])), dtypes, hot)
    if not quick:
        yield from points("resnet_sgd", sizes("batch", _RESNET_CPU), dtypes, hot)
        yield from points("transformer_adamw", token_sizes(*_TRANSFORMER_CPU), dtypes, hot)


def quick_cuda_grid() -> Iterator[GridPoint]:
    all_modes = ("hot", "resident", "end_to_end")
    yield from points("simple_net_adam", [{"batch": 100}], [F32], all_modes)
    yield from points("linear_sgd", [{"batch": 64}], [F32], all_modes)
    yield from points("mlp_adam", mlp_sizes(*_MLP[2:3]), [F32], all_modes)
    yield from points("resnet_sgd", [{"batch": 100}], [F32], ("resident",))
    yield from points("transformer_adamw", token_sizes((8, 128)), [BF16], ("resident",))


def cuda_grid(suite: str) -> Iterator[GridPoint]:
    hot, both, all_modes = ("hot",), ("hot", "resident"), ("hot", "resident", "end_to_end")
    yield from points("simple_net_adam", [{"batch": 100}], [F32], all_modes)
    yield from points("simple_net_adam", sizes("batch", (16, 1000, 16_384)), [F32], both)
    yield from points("linear_sgd", [{"batch": 64}], [F32], all_modes)
    yield from points("linear_sgd", sizes("batch", (16, 1000, 16_384)), [F32], both)
    yield from points("mlp_adam", mlp_sizes((256, 256)), [F32], all_modes)
    yield from points("mlp_adam", mlp_sizes(_MLP[0], _MLP[3], *_MLP[4:]), [F32], both)
    yield from points("mlp_adam", mlp_sizes(*_MLP[4:]), [TF32, BF16], hot)
    yield from points("resnet_sgd", [{"batch": 100}], [F32], all_modes)
    yield from points("resnet_sgd", sizes("batch", (16, 512)), [F32], both)
    yield from points("resnet_sgd", sizes("batch", (100, 512)), [TF32], hot)
    yield from points("resnet_sgd", sizes("batch", (100, 512)), [BF16], both)
    yield from points("transformer_adamw", token_sizes(*_TRANSFORMER_CUDA), [F32], both)
    yield from points("transformer_adamw", token_sizes(*_TRANSFORMER_CUDA[1:]), [TF32], hot)
    yield from points("transformer_adamw", token_sizes(*_TRANSFORMER_CUDA[1:]), [BF16], both)
    if suite == "full":
        dtypes = [F32, TF32, BF16]
        yield from points("mlp_adam", mlp_sizes((64, 256), (1024, 2048)), dtypes, both)
        yield from points("resnet_sgd", sizes("batch", (1, 1024)), dtypes, both)
        yield from points("transformer_adamw", token_sizes((1, 64), (8, 512)), dtypes, both)
