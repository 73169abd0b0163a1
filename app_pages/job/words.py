"""What the job form calls families, cases and parameters, and the help text of each.

Names in brackets or after a comma are those of the dataset and of the command line.
"""

from __future__ import annotations

from collector.workloads import FAMILIES

_FAMILY_NAMES = {
    "training_step": "Training step of a network",
    "inference_step": "Forward pass of a network",
    "matmul": "Matrix product",
    "conv2d": "Convolution of images",
    "dense_layer": "Dense layer",
    "attention": "Attention",
    "elementwise": "Arithmetic on each element",
    "reduction": "Sums and norms",
    "sort": "Sorting",
    "gather": "Rows by index, embedding",
    "scatter_add": "Adding up by index",
    "spmm": "Sparse matrix product",
    "random": "Random numbers",
    "fft": "Fourier transform",
    "image_pipeline": "Image preparation",
    "transfer": "Copy between host and GPU",
    "launch": "Cost of a call",
    "python_loop": "Loop in Python",
}

_CASE_NAMES: dict[str, dict[str, str]] = {
    "matmul": {
        "square": "Two square matrices",
        "skinny": "Any three dimensions",
        "long_k": "Long inner dimension",
        "batched": "Many small products",
        "int8_square": "Square, 8-bit whole numbers",
        "dot_2000_float64": "numpy.dot of 2000 x 2000",
        "x_xt_1000_float32": "x times its transpose",
    },
    "conv2d": {
        "forward": "Forward",
        "backward": "Backward, both gradients",
        "depthwise": "Depthwise, forward",
    },
    "dense_layer": {"forward": "Forward", "forward_backward": "Forward and backward"},
    "attention": {"full": "Full", "causal": "Causal, no look ahead"},
    "elementwise": {
        "add": "Sum of two vectors",
        "triad": "Triad, a + s b",
        "polynomial": "Polynomial x² + 2x + 1",
        "tanh": "Hyperbolic tangent",
        "broadcast_add": "Matrix plus row vector",
        "polynomial_1e6_float32": "Polynomial, a million elements",
    },
    "reduction": {
        "sum": "Sum of a vector",
        "row_sum": "Sum of each row",
        "softmax": "Softmax of each row",
        "layer_norm": "Layer norm of each row",
    },
    "sort": {
        "sort": "Sort a vector",
        "argsort": "Order of a vector",
        "sort_rows": "Sort each row",
    },
    "gather": {"rows": "Rows of a table"},
    "scatter_add": {"histogram": "Weighted histogram", "rows": "Rows into a table"},
    "spmm": {"csr_dense": "Sparse (CSR) times dense"},
    "random": {"uniform": "Uniform", "normal": "Normal"},
    "fft": {"batched_1d": "Many vectors", "fft2": "One square image"},
    "image_pipeline": {"resize_blur_normalise": "Resize, blur, normalise"},
    "transfer": {
        "h2d_pageable": "To the GPU, ordinary memory",
        "h2d_pinned": "To the GPU, pinned memory",
        "d2h_pageable": "From the GPU, ordinary memory",
        "d2h_pinned": "From the GPU, pinned memory",
        "d2d": "On the GPU",
    },
    "launch": {
        "empty_kernel": "Kernel that does nothing",
        "chain": "Chain of small calls",
        "dispatch_allocating": "Chain that allocates",
        "dispatch_views": "Chain of views",
        "dispatch_autograd": "Chain with gradients",
        "optimizer_step": "Optimizer step, small tensors",
    },
    "python_loop": {"monte_carlo_pi": "Monte Carlo estimate of pi"},
    "training_step": {
        "simple_net_adam": "Linear net 10 to 2, Adam",
        "linear_sgd": "Linear net 10 to 1, SGD",
        "mlp_adam": "Perceptron of three layers, Adam",
        "resnet_sgd": "Residual network, SGD",
        "transformer_adamw": "Transformer, AdamW",
    },
    "inference_step": {
        "mlp": "Perceptron of three layers",
        "resnet": "Residual network",
        "transformer": "Transformer",
    },
}

_CASE_HELP = {
    "matmul": "Which shapes are multiplied. Skinny and long products use less of a GPU.",
    "training_step": "Which network is trained, with which optimizer: zero_grad, forward pass, "
    "loss, backward pass and update, in eager PyTorch. The residual network has eight layers on "
    "images of 3 x 32 x 32; the transformer two layers of width 256.",
    "inference_step": "Which network answers: the residual network has eight layers on images of "
    "3 x 32 x 32; the transformer two layers of width 256.",
    "transfer": "The direction, and whether the host's memory is pinned (page-locked), which "
    "copies faster.",
    "launch": "What a call costs apart from its work, by kind of call.",
}

# Name and help of a parameter; with the family's, or the family's and case's, name first where
# one word means two things.
_PARAMETERS: dict[str, tuple[str, str]] = {
    "n": ("Elements", "Number of elements."),
    "m": ("Rows of the first", "Rows of the first matrix and of the result."),
    "k": ("Inner dimension", "Columns of the first matrix, rows of the second."),
    "batch": ("Batch", "Samples that are worked on together."),
    "rows": ("Rows", "Rows of the matrix or table."),
    "cols": ("Columns", "Columns of the matrix."),
    "width": ("Width", "Values in a row."),
    "count": ("Rows asked for", "How many indices there are."),
    "bins": ("Bins", "Places that values are added to."),
    "nonzeros_per_row": ("Nonzeros in a row", "Stored values in each row of the sparse matrix."),
    "channels": ("Channels", "Channels of the image, each with a filter of its own."),
    "channels_in": ("Channels in", "Channels of the input, 3 for a colour picture."),
    "channels_out": ("Channels out", "Channels of the output: the number of filters."),
    "image": ("Side of the image", "Height and width of the input in pixels."),
    "kernel": ("Side of the filter", "Height and width of the filter, 3 for 3 x 3."),
    "stride": ("Stride", "Distance of two filter positions; 2 halves the image."),
    "inputs": ("Inputs", "Values that go into the layer for each sample."),
    "outputs": ("Outputs", "Values that come out of the layer for each sample."),
    "heads": ("Heads", "Attention heads."),
    "sequence": ("Sequence", "Tokens in a sample."),
    "head_dim": ("Head width", "Values of one head for each token."),
    "bytes": ("Bytes", "Bytes that are copied by one call."),
    "length": ("Calls", "Calls in the chain, one after the other."),
    "tensors": ("Tensors", "Parameter tensors that the optimizer updates."),
    "matmul n": ("Rows and columns", "Rows and columns of both square matrices."),
    "matmul skinny n": ("Columns of the second", "Columns of the second matrix and the result."),
    "matmul long_k n": ("Columns of the second", "Columns of the second matrix and the result."),
    "matmul batch": ("Products", "Pairs of matrices that one call multiplies."),
    "fft n": ("Points of a transform", "Length of each transformed vector."),
    "fft fft2 n": ("Side of the image", "Height and width of the transformed image."),
    "fft batch": ("Transforms", "Vectors that one call transforms."),
    "random n": ("Numbers", "Numbers drawn by one call."),
    "python_loop n": ("Points", "Random points that the loop looks at."),
    "image_pipeline batch": ("Images", "Images in one call."),
    "conv2d batch": ("Images", "Images in one call."),
    "scatter_add count": ("Values", "How many values are added up."),
    "spmm width": ("Dense columns", "Columns of the dense matrix."),
    "training_step width": ("Width of the layers", "Inputs and neurons of each hidden layer."),
    "inference_step width": ("Width of the layers", "Inputs and neurons of each hidden layer."),
}


def family_name(family: str) -> str:
    """Name for people with the dataset's own in brackets, one line."""
    name = _FAMILY_NAMES.get(family)
    return f"{name} ({family})" if name else family


def family_help() -> str:
    """Help of the choice of a family; the page's own words only."""
    return (
        "The operation that your job repeats. Type to search. Choose a training step or a "
        "forward pass for a network, else the operation that takes most of the time."
    )


def in_order(families: list[str]) -> list[str]:
    """Families as the form lists them: whole networks first, then as the collector does."""
    known = list(_FAMILY_NAMES)
    return sorted(families, key=lambda name: known.index(name) if name in known else len(known))


def case_name(family: str, case: str) -> str:
    """Name for people with the dataset's own in brackets."""
    name = _CASE_NAMES.get(family, {}).get(case)
    return f"{name} ({case})" if name else case


def case_help(family: str) -> str:
    """What the cases of a family are."""
    return _CASE_HELP.get(family, f"What exactly is done: {FAMILIES[family].summary}.")


def parameter_words(family: str, case: str, name: str) -> tuple[str, str]:
    """Label and help of a parameter; the label ends with the command line's name, or is it."""
    for key in (f"{family} {case} {name}", f"{family} {name}", name):
        if key in _PARAMETERS:
            label, text = _PARAMETERS[key]
            return label if label.lower() == name else f"{label}, {name}", text
    return name, f"Parameter {name} of {family} {case}."
