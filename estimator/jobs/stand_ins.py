"""From an operation of a job to the cells whose times are its own, or the nearest there are.

An operation that a family measures is its cell. Any other is answered by the nearest kind that is
measured, with the same work: a product by a product, traffic through memory by as many bytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from collector.jobs import (
    COPY_TO_CPU,
    COPY_TO_GPU,
    ITEM_BYTES,
    SYNCHRONIZE,
    Operation,
    Tensor,
    Value,
)
from collector.workloads import (
    ATTENTION_BACKWARD_KINDS,
    ATTENTION_KINDS,
    CONVOLUTION_KINDS,
    FAMILIES,
    PRODUCT_KINDS,
    Convolution,
    Measured,
    attention_sizes,
    convolution_sizes,
    plain_kind,
    product_sizes,
    recognised,
)
from estimator.jobs.answered import NOTHING, Answered, Cells, cell_of, element_type, whole_size
from estimator.jobs.array_calls import array_call
from estimator.jobs.known_kinds import (
    MEMORY_KINDS,
    MEMORY_PREFIXES,
    NOTHING_KINDS,
    SUM_KINDS,
)
from estimator.jobs.traffic import column_sum, counted_bytes, traffic


def answered_by(operation: Operation) -> Answered:
    """The cells of an operation; none for views, waiting, and what has no elements."""
    kind = plain_kind(operation.kind)
    copies = kind in (COPY_TO_GPU, COPY_TO_CPU)
    if operation.library == "numpy" and not copies:
        return array_call(operation)
    if (
        kind == SYNCHRONIZE
        or kind in NOTHING_KINDS
        or not (copies or (operation.launches and counted_bytes(operation)))
    ):
        return NOTHING
    found = recognised(operation)
    if found is not None:
        label = FAMILIES[found.workload].label
        return Answered(((found, 1.0), *_of_bias(operation)), True, True, label)
    nearest = _BY_KIND.get(kind) or next(
        (way for prefix, way in _BY_PREFIX.items() if kind.startswith(prefix)), None
    )
    if nearest is not None:
        way, words = nearest
        cells = way(operation)
        if cells:
            return Answered(cells, False, True, words)
    return Answered(counted(operation), False, nearest is not None, "its counted work")


# -- cells with given work -------------------------------------------------------------------


def _moving(operation: Operation, count: float) -> Cells:
    """So many bytes through memory, read and written: a sum of two arrays; a least one for each
    launch beyond the first."""
    dtype = element_type(operation, "elementwise", operation.dtype)
    n = count / (3 * ITEM_BYTES[dtype])
    cells: Cells = ((cell_of(operation, "elementwise", "add", dtype, n=n), 1.0),)
    if operation.launches > 1:
        least = cell_of(operation, "elementwise", "add", dtype, n=1)
        cells += ((least, operation.launches - 1.0),)
    return cells


def _traffic(operation: Operation) -> Cells:
    """The bytes in whose time the operation is done."""
    return _moving(operation, traffic(operation))


def _multiplying(
    operation: Operation, dtype: str, batch: float, m: float, n: float, k: float
) -> Measured:
    """A product of so many multiplications.

    Elements of one byte are multiplied as half as many of two bytes, complex ones as four reals.
    """
    item = ITEM_BYTES[dtype]
    if dtype.startswith("complex"):
        dtype, k = ("float64" if item == 16 else "float32"), 4 * k
    elif item == 1:
        dtype, k = "bfloat16", k / 2
    dtype = element_type(operation, "matmul", dtype)
    if whole_size(batch) > 1:
        return cell_of(operation, "matmul", "batched", dtype, batch=batch, m=m, n=n, k=k)
    if whole_size(m) == whole_size(n) == whole_size(k):
        return cell_of(operation, "matmul", "square", dtype, n=n)
    return cell_of(operation, "matmul", "skinny", dtype, m=m, n=n, k=k)


def counted(operation: Operation) -> Cells:
    """By its bytes, or, where it has far more FLOP than that, as a product of as many."""
    count = counted_bytes(operation)
    if operation.flop > _PRODUCT_INTENSITY * count:
        side = (operation.flop / 2.0) ** (1.0 / 3.0)
        return ((_multiplying(operation, operation.dtype, 1, side, side, side), 1.0),)
    return _moving(operation, count)


#: FLOP a byte beyond which no machine waits for memory only (a choice)
_PRODUCT_INTENSITY = 16.0


# -- products ----------------------------------------------------------------------------------


def _product(operation: Operation) -> Cells:
    """Of the same sizes; a depth that is loaded as the operands lie counts as aligned."""
    sizes = product_sizes(operation)
    if sizes is None:
        return ()
    k = sizes.k
    if sizes.turned:
        k = 8 * whole_size(k / 8)
    cell = _multiplying(operation, sizes.a.dtype, sizes.batch, sizes.m, sizes.n, k)
    return ((cell, 1.0),)


#: kernels of a step backward, where sequences end together in groups; share of a small kernel's
#: time that a step takes whose states stay on the chip: seen on an H200 (cuDNN 9.19)
_PACKED_BACKWARD, _HELD = 2.4, 0.5


def _recurrent(operation: Operation) -> Cells:
    """Each layer and direction: one product for all steps, one and a map for each step.

    ``inputs``: the sequence (steps, batch, width), then weights of inputs and of states in turn.
    Both gradients of a backward pass take as much as the forward pass each.
    """
    if not operation.inputs or len(operation.inputs[0].shape) not in (2, 3):
        return ()
    x = operation.inputs[0]
    backward = "backward" in operation.kind
    weights = [tensor.shape for tensor in operation.inputs[1:] if len(tensor.shape) == 2]
    pairs = list(zip(weights[::2], weights[1::2], strict=False))
    if len(x.shape) == 3:
        steps, batch = x.shape[:2]
        if operation.attribute("batch_first", False):
            steps, batch = batch, steps
    else:  # sequences of several lengths, packed: kernels tell how many steps there are
        kernels = operation.launches / max(len(pairs), 1)
        steps = whole_size(kernels / (_PACKED_BACKWARD if backward else 2.0))
        batch = whole_size(x.shape[0] / steps)
    held = operation.device == "gpu" and 1 < operation.launches < steps
    cells: Cells = ()
    for of_inputs, of_states in pairs:
        item = ITEM_BYTES[x.dtype]
        whole = _multiplying(operation, x.dtype, 1, steps * batch, of_inputs[0], of_inputs[1])
        step = _multiplying(operation, x.dtype, 1, batch, of_states[0], of_states[1])
        dtype = element_type(operation, "elementwise", x.dtype)
        n = batch * of_states[0] * item / (2 * ITEM_BYTES[dtype])
        gates = cell_of(operation, "elementwise", "add", dtype, n=n)
        cells += ((whole, 1.0),)
        if held:  # the states stay on the chip, and one kernel does all steps
            cells += ((gates, _HELD * steps),)
        else:
            cells += ((step, float(steps)), (gates, float(steps)))
    return _times(cells, 2.0) if backward else cells


def _times(cells: Cells, factor: float) -> Cells:
    return tuple((cell, times * factor) for cell, times in cells)


# -- convolutions ------------------------------------------------------------------------------

_WIDEST = 7  # side of the largest kernel that is measured
#: time of the gradients of a depthwise layer over its forward pass's, of input (for each position
#: of the output) and weights; bytes through memory in the time of a multiplication in NHWC, over
#: its bytes: seen on an H200
_DEPTHWISE_GRADIENTS, _DEPTHWISE_LAST = (1.6, 1.6), 0.22
#: channels up to which a product's loads are no wide ones, and FLOP for each byte loaded so
_FEW_CHANNELS, _FEW_INTENSITY = 4, 10.0
_TILE = 64  # least columns that a kernel multiplies, used or not
_TURNING = 1.6  # passes over an image that goes from NCHW to NHWC or back: read and written


def _convolution(operation: Operation) -> Cells:
    """The same layer without what the family lacks, or the product that it is.

    Each gradient takes as many FLOP as the forward pass.
    """
    layer = convolution_sizes(operation)
    if layer is None or not layer.flop:
        return ()
    gradients = sum(layer.gradients[:2])
    passes = float(gradients) if layer.gradients else 1.0
    dtype = operation.inputs[0].dtype
    cells: Cells = ()
    if passes:
        if layer.depthwise:
            cells = _depthwise(operation, layer, dtype)
        elif layer.groups == 1 and _as_measured(operation, layer):
            both = len(layer.gradients) > 1 and all(layer.gradients[:2])
            case = "backward" if both else "forward"
            cell = _layer(operation, layer, dtype, case)
            cells = ((cell, 1.0 if case == "backward" else passes),)
        else:
            cells = _times(_multiplied(operation, layer, dtype), passes)
    return cells + _of_bias(operation)


def _depthwise(operation: Operation, layer: Convolution, dtype: str) -> Cells:
    """torch's own kernels, which know no tensor cores; in NHWC cuDNN's, a few passes."""
    each = [
        factor
        for asked, factor in zip(layer.gradients, _DEPTHWISE_GRADIENTS, strict=False)
        if asked
    ]
    if layer.gradients and layer.gradients[0]:
        each[0] *= math.prod(layer.stride)
    factor = sum(each) if layer.gradients else 1.0
    if layer.channels_last and operation.device == "gpu":
        count = _DEPTHWISE_LAST * math.prod(layer.kernel) * _image_bytes(operation, layer)
        return _times(_one_launch(operation, count), factor)
    plain = replace(operation, math_mode="ieee")
    if dtype == "float16" and math.prod(layer.kernel) > _WIDEST_HALF:
        dtype = "bfloat16"
    return ((_layer(plain, layer, dtype, "depthwise"), factor),)


_WIDEST_HALF = 25  # elements of a depthwise kernel that cuDNN has for float16


def _image_bytes(operation: Operation, layer: Convolution) -> float:
    """Bytes of the layer's input and output."""
    item = ITEM_BYTES[operation.inputs[0].dtype]
    into = math.prod(layer.image) * layer.channels_in
    return item * layer.batch * (into + math.prod(layer.output) * layer.channels_out)


def _multiplied(operation: Operation, layer: Convolution, dtype: str) -> Cells:
    """The product that the layer is; of few channels the loads that it takes; on tensor cores
    images turned to NHWC and back."""
    if operation.device == "cpu":
        return ((_implicit_product(operation, layer, dtype), 1.0),)
    images = _image_bytes(operation, layer)
    units = ITEM_BYTES[dtype] == 2 or operation.math_mode == "tf32"
    turned = _TURNING * 2.0 * images if units and not layer.channels_last else 0.0
    if layer.groups == 1 and layer.channels_in <= _FEW_CHANNELS:
        return _one_launch(operation, layer.flop / _FEW_INTENSITY + images + turned)
    cells: Cells = ((_implicit_product(operation, layer, dtype), 1.0),)
    return cells + (_one_launch(operation, turned) if turned else ())


def _as_measured(operation: Operation, layer: Convolution) -> bool:
    """Whether the family's kernels, of NCHW, are near: images that are turned are not.

    Layers whose kernels do not overlap are plain products.
    """
    units = ITEM_BYTES[operation.inputs[0].dtype] == 2 or operation.math_mode == "tf32"
    if layer.channels_last and units and operation.device == "gpu":
        return False
    sizes = zip(layer.kernel, layer.stride, strict=True)
    square = len(layer.kernel) == 2 and len(set(layer.kernel)) == len(set(layer.stride)) == 1
    fits = all(size <= _WIDEST and (stride < size or size == 1) for size, stride in sizes)
    return square and fits


def _layer(operation: Operation, layer: Convolution, dtype: str, case: str) -> Measured:
    """A square layer of as many positions; padding an even kernel by half of it adds one."""
    positions = math.prod(layer.output)
    side = whole_size(math.sqrt(positions))
    stride = whole_size(math.prod(layer.stride) ** (1.0 / len(layer.stride)))
    kernel = whole_size(math.sqrt(math.prod(layer.kernel)))
    channels = {"channels_in": layer.channels_in, "channels_out": layer.channels_out}
    return cell_of(
        operation,
        "conv2d",
        case,
        element_type(operation, "conv2d", dtype),
        batch=layer.batch * positions / side**2,
        image=side * stride - (kernel % 2 == 0),
        kernel=kernel,
        stride=stride,
        **({"channels": layer.channels_in} if layer.depthwise else channels),
    )


def _implicit_product(operation: Operation, layer: Convolution, dtype: str) -> Measured:
    """The product that the layer is, for each group: positions, channels out, channels in times
    the kernel (Chetlur et al. 2014, cuDNN, section 3).

    A kernel that overlaps itself r times reads each element once, not r times: the product is
    given 1/r of the rows and r times the columns, so that FLOP and bytes are the layer's.
    """
    groups = layer.groups
    area = math.prod(layer.kernel)
    rows = layer.batch * math.prod(layer.output)
    overlap = min(max(1.0, area / math.prod(layer.stride)), rows)
    columns = layer.channels_out / groups
    if operation.device == "gpu":
        columns = max(columns, float(_TILE))
    columns *= overlap
    depth = layer.channels_in / groups * area
    return _multiplying(operation, dtype, groups, rows / overlap, columns, depth)


def _of_bias(operation: Operation) -> Cells:
    """On a GPU a layer's bias is added, and its gradient summed, by a kernel of its own."""
    if operation.device == "cpu" or plain_kind(operation.kind) not in CONVOLUTION_KINDS:
        return ()
    layer = convolution_sizes(operation)
    if layer is None or not layer.flop:
        return ()
    if layer.bias and operation.outputs:
        return _one_launch(operation, 2 * operation.outputs[0].bytes)
    if layer.gradients[2:3] == (True,):
        return _sum(operation, operation.inputs[0], layer.channels_out)
    return ()


def _one_launch(operation: Operation, count: float) -> Cells:
    return _moving(operation, count)[:1]


# -- attention ---------------------------------------------------------------------------------

#: time of the backward pass over the forward pass's: five products instead of two (Dao 2023,
#: FlashAttention-2, section 4.1), at a lower rate: 2.9 to 3.5 times on an H200 (cuDNN 9.19)
_ATTENTION_BACKWARD = 3.0
#: how often kernels go through a bias of the scores, forward and backward (the same)
_BIAS_PASSES = (2.0, 3.0)
#: queries of one step of generation: they read keys and values more than they multiply
_FEW_QUERIES = 16


def _attention(operation: Operation) -> Cells:
    """Of as many pairs of query and key; of few queries the two products that read the cache."""
    sizes = attention_sizes(operation)
    if sizes is None:
        return ()
    dtype = operation.inputs[0].dtype
    is_backward = operation.kind in ATTENTION_BACKWARD_KINDS
    backward = _ATTENTION_BACKWARD if is_backward else 1.0
    if operation.attribute("dropout_p", 0.0) and operation.device == "gpu":
        backward *= _DROPOUT[is_backward]
    width = (sizes.head_dim + sizes.value_dim) / 2.0
    fused = element_type(operation, "attention", dtype)
    if sizes.queries <= _FEW_QUERIES < sizes.keys or ITEM_BYTES[fused] < ITEM_BYTES[dtype]:
        together = sizes.heads // max(sizes.key_heads, 1)
        shape = (sizes.batch * sizes.key_heads, sizes.queries * together)
        scores = _multiplying(operation, dtype, *shape, sizes.keys, sizes.head_dim)
        values = _multiplying(operation, dtype, *shape, sizes.value_dim, sizes.keys)
        return ((scores, backward), (values, backward))
    cell = cell_of(
        operation,
        "attention",
        "causal" if sizes.causal else "full",
        fused,
        batch=sizes.batch,
        heads=sizes.heads,
        sequence=math.sqrt(sizes.queries * sizes.keys),
        head_dim=width,
    )
    return ((cell, backward), *_of_scores_bias(operation, is_backward))


#: random numbers for each score, forward and backward: seen on an H200 (cuDNN 9.19)
_DROPOUT = (2.0, 1.2)


def _of_scores_bias(operation: Operation, backward: bool) -> Cells:
    place = 4 if backward else 3
    biased = "efficient" in operation.kind and len(operation.inputs) > place + 4 * backward
    if not biased or operation.device == "cpu":
        return ()
    bias = operation.inputs[place]
    kept = math.prod(
        size for size, stride in zip(bias.shape, bias.strides or bias.shape, strict=True) if stride
    )
    return _one_launch(operation, _BIAS_PASSES[backward] * kept * ITEM_BYTES[bias.dtype])


# -- rows, indices, order, transforms, generators ------------------------------------------------


def _sum(operation: Operation, x: Tensor, sums: int) -> Cells:
    """Everything read once, ``sums`` numbers written."""
    dtype = element_type(operation, "reduction", x.dtype)
    n = x.bytes / ITEM_BYTES[dtype]
    if sums <= 1:
        return ((cell_of(operation, "reduction", "sum", dtype, n=n), 1.0),)
    return ((cell_of(operation, "reduction", "row_sum", dtype, rows=sums, cols=n / sums), 1.0),)


def _sums(operation: Operation) -> Cells:
    if not operation.inputs or not operation.outputs:
        return ()
    x, sums = operation.inputs[0], operation.outputs[0].count
    if operation.device == "gpu" and sums > 1 and _keeps_last(x, operation.attribute("dim")):
        return _one_launch(operation, column_sum(x, sums))
    return _sum(operation, x, sums)


def _keeps_last(x: Tensor, dim: Value | None) -> bool:
    """Whether sums go over other dimensions than the one whose elements lie side by side."""
    if not x.shape or x.strides is not None or dim is None:
        return False
    dims = dim if isinstance(dim, tuple) else (dim,)
    return all(isinstance(one, int) and one % len(x.shape) != len(x.shape) - 1 for one in dims)


def _side(x: Tensor, dim: Value | None) -> int:
    """Elements along a dimension; all where it names none."""
    sides = len(x.shape)
    if isinstance(dim, int) and -sides <= dim < sides:
        return x.shape[dim]
    return x.count


def _rows(operation: Operation) -> Cells:
    """Softmax and layer norm of element types or layouts that the family lacks."""
    if not operation.inputs or not operation.inputs[0].shape:
        return ()
    x = operation.inputs[0]
    case = "layer_norm" if "norm" in operation.kind else "softmax"
    given = operation.attribute("normalized_shape", ())
    cols = _side(x, operation.attribute("dim", -1))
    if isinstance(given, tuple) and given:
        cols = int(math.prod(given))
    dtype = element_type(operation, "reduction", x.dtype)
    n = counted_bytes(operation) / (2 * ITEM_BYTES[dtype])
    return ((cell_of(operation, "reduction", case, dtype, rows=n / max(cols, 1), cols=cols), 1.0),)


def _taken(operation: Operation) -> Cells:
    """Rows by index, read or written."""
    if len(operation.inputs) < 2:
        return ()
    table, *others = operation.inputs
    whole = [tensor for tensor in others if tensor.dtype in ("int64", "int32")]
    if not whole or not table.shape:
        return ()
    count = max(tensor.count for tensor in whole)
    writes = any(word in operation.kind for word in ("put", "scatter", "copy"))
    moved = others[-1] if writes else (*operation.outputs, table)[0]
    width = max(1.0, moved.count / max(count, 1))
    dtype = element_type(operation, "gather", moved.dtype)
    wide = width * ITEM_BYTES[moved.dtype] / ITEM_BYTES[dtype]
    rows = table.count / width
    cell = cell_of(operation, "gather", "rows", dtype, rows=rows, width=wide, count=count)
    return ((cell, 1.0), *(_of_copy(operation, table) if writes else ()), *_others(operation))


def _of_copy(operation: Operation, table: Tensor) -> Cells:
    """What writes by index into a new tensor copies the old one first."""
    copied = not operation.kind.endswith("_") and operation.outputs[:1]
    if not copied or operation.outputs[0].count != table.count:
        return ()
    return _one_launch(operation, 2 * table.bytes)


def _others(operation: Operation) -> Cells:
    """A least kernel for each launch beyond the first, on a GPU."""
    if operation.device == "cpu" or operation.launches < 2:
        return ()
    return _moving(operation, 1.0)[1:]


def _added(operation: Operation) -> Cells:
    """Rows added by index; of a large table the part that they can touch."""
    tensors = [*operation.inputs, *operation.outputs]
    whole = [tensor for tensor in tensors if tensor.dtype in ("int64", "int32")]
    numbers = [tensor for tensor in operation.inputs if "float" in tensor.dtype]
    if not whole or not numbers:
        return ()
    backward = "embedding" in operation.kind
    source = numbers[0] if backward else numbers[-1]
    table = operation.outputs[0] if operation.outputs else numbers[0]
    index = whole[0]
    count = index.count
    if index.strides is not None and index.strides[-1:] == (0,):  # a row's index for each of it
        count //= max(index.shape[-1], 1)
    width = max(1.0, source.count / max(count, 1))
    rows = max(1.0, table.count / width)
    if not backward:
        rows = min(rows, float(count))
    dtype = element_type(operation, "scatter_add", source.dtype)
    wide = width * ITEM_BYTES[source.dtype] / ITEM_BYTES[dtype]
    if wide <= 1.0:
        cell = cell_of(operation, "scatter_add", "histogram", dtype, count=count, bins=rows)
    else:
        cell = cell_of(operation, "scatter_add", "rows", dtype, rows=rows, width=wide, count=count)
    copied = () if backward else _of_copy(operation, numbers[0])
    return ((cell, 1.0), *copied, *_others(operation))


def _embedding_backward(operation: Operation) -> Cells:
    """On a GPU zeros for the table, then, of few indices, a block that goes through all of them;
    of more, a sort, and two kernels that add up rows that lie anywhere."""
    index = next((one for one in operation.inputs if one.dtype in ("int64", "int32")), None)
    if operation.device == "cpu" or index is None or not operation.outputs:
        return _added(operation)
    few = operation.launches <= 2
    added = _INDEX_BYTES * index.count if few else _ROW_PASSES * operation.inputs[0].bytes
    return _moving(operation, operation.outputs[0].bytes + added)


#: bytes through memory in the time that a GPU takes for one of few indices; passes over the
#: gradient where there are more: seen on an H200 (torch 2.11)
_INDEX_BYTES, _ROW_PASSES = 96 * 1024, 16


def _put(operation: Operation) -> Cells:
    return _added(operation) if operation.attribute("accumulate", False) else _taken(operation)


def _ordered(operation: Operation) -> Cells:
    """A sort of as many keys: along the dimension, or of all."""
    tensors = operation.inputs or operation.outputs
    x = tensors[0]
    cols = _side(x, operation.attribute("dim", -1))
    dtype = element_type(operation, "sort", x.dtype)
    if x.count == cols:
        return ((cell_of(operation, "sort", "sort", dtype, n=cols), 1.0),)
    rows = x.count / max(cols, 1)
    return ((cell_of(operation, "sort", "sort_rows", dtype, rows=rows, cols=cols), 1.0),)


def _transformed(operation: Operation) -> Cells:
    """A complex transform for each dimension; of real numbers half of it."""
    tensors = [*operation.inputs[:1], *operation.outputs[:1]]
    if not tensors:
        return ()
    real = operation.kind != "_fft_c2c"
    x = max(tensors, key=lambda tensor: tensor.count)  # the whole one, not half a spectrum
    dims = operation.attribute("dim", (-1,))
    double = any(tensor.dtype in ("complex128", "float64") for tensor in tensors)
    dtype = "complex128" if double else "complex64"
    cells: Cells = ()
    for dim in dims if isinstance(dims, tuple) else (-1,):
        n = _side(x, dim)
        batch = x.count / max(n, 1)
        cell = cell_of(operation, "fft", "batched_1d", dtype, batch=batch, n=n)
        cells += ((cell, 0.5 if real else 1.0),)
    if operation.attribute("normalization", 0):
        cells += _one_launch(operation, 2 * tensors[-1].bytes)
    return cells


def _drawn(operation: Operation) -> Cells:
    """As many uniform numbers; normal ones for laws that take a logarithm."""
    tensors = operation.outputs or operation.inputs
    if not tensors:
        return ()
    kind = operation.kind
    case = "normal" if any(word in kind for word in ("normal", "exponential", "randn")) else ""
    dtype = element_type(operation, "random", tensors[0].dtype)
    return ((cell_of(operation, "random", case or "uniform", dtype, n=tensors[0].count), 1.0),)


def _copied(operation: Operation) -> Cells:
    """A copy over the bus of at least one element."""
    way = "h2d" if operation.kind == COPY_TO_GPU else "d2h"
    memory = "pinned" if operation.attribute("pinned", False) else "pageable"
    count = counted_bytes(operation)
    return ((cell_of(operation, "transfer", f"{way}_{memory}", "float32", bytes=count), 1.0),)


_Way = tuple[Callable[[Operation], Cells], str]


def _ways() -> Mapping[str, _Way]:
    named: list[tuple[frozenset[str], Callable[[Operation], Cells], str]] = [
        (MEMORY_KINDS, _traffic, "as many bytes through memory"),
        (SUM_KINDS, _sums, "a sum of as many elements"),
        (frozenset({*PRODUCT_KINDS, "matmul"}), _product, "a product of the same sizes"),
        (CONVOLUTION_KINDS, _convolution, "a convolution of the same work"),
        (ATTENTION_KINDS, _attention, "attention of the same work"),
        (ATTENTION_BACKWARD_KINDS, _attention, "3 times attention forward"),
        (
            frozenset(
                {"_softmax", "_log_softmax", "native_layer_norm", "_safe_softmax"}
                | {"_masked_softmax", "_fused_rms_norm"}
            ),
            _rows,
            "softmax or layer norm of as many bytes",
        ),
        (
            frozenset(
                {"index", "gather", "embedding", "index_select", "index_copy", "scatter"}
                | {"_unsafe_index", "_embedding_bag", "_embedding_bag_forward_only", "take"}
                | {"embedding_bag", "masked_select", "_unsafe_masked_index"}
            ),
            _taken,
            "rows by index",
        ),
        (frozenset({"index_put", "_index_put_impl", "_unsafe_index_put"}), _put, "rows by index"),
        (
            frozenset({"embedding_dense_backward"}),
            _embedding_backward,
            "zeros, and additions by index",
        ),
        (
            frozenset(
                {"index_add", "scatter_add", "scatter_reduce"}
                | {
                    "_embedding_bag_dense_backward",
                    "_embedding_bag_backward",
                    "bincount",
                    "histc",
                    "index_reduce",
                }
                | {"_unsafe_masked_index_put_accumulate"}
            ),
            _added,
            "additions by index",
        ),
        (
            frozenset({"sort", "argsort", "topk", "kthvalue", "median", "mode", "randperm"})
            | {"_unique2", "unique_dim", "unique_consecutive", "searchsorted", "nanmedian"},
            _ordered,
            "a sort of as many elements",
        ),
        (frozenset({"_fft_c2c", "_fft_r2c", "_fft_c2r"}), _transformed, "complex transforms"),
        (
            frozenset(
                {"bernoulli", "rand", "randn", "rand_like", "randn_like", "normal", "uniform"}
                | {"random", "randint", "randint_like", "exponential", "log_normal", "multinomial"}
                | {"cauchy", "geometric", "poisson", "_fused_dropout"}
            ),
            _drawn,
            "as many random numbers",
        ),
        (
            frozenset(
                {"_cudnn_rnn", "miopen_rnn", "mkldnn_rnn_layer", "lstm", "gru", "rnn_tanh"}
                | {"rnn_relu", "_cudnn_rnn_backward", "miopen_rnn_backward"}
                | {"mkldnn_rnn_layer_backward"}
            ),
            _recurrent,
            "products and maps, step by step",
        ),
        (frozenset({COPY_TO_GPU, COPY_TO_CPU}), _copied, "a copy over the bus"),
    ]
    return {kind: (way, words) for kinds, way, words in named for kind in kinds}


_BY_KIND = _ways()
_BY_PREFIX: Mapping[str, _Way] = dict.fromkeys(
    MEMORY_PREFIXES, (_traffic, "as many bytes through memory")
)
