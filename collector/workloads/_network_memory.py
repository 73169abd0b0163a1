"""Memory of the networks in a job: what is alive at a time, in eager PyTorch and in array code.

Elements of activations come from the layers of network_work; each counts as one array that lives
until its last reader has run. Which arrays a backward pass needs follows PyTorch's
derivatives.yaml: products, norms, attention and GELU keep their input, ReLU, attention and the
logarithm of a softmax their result.
"""

from __future__ import annotations

from itertools import pairwise

from collector.workloads._job_memory import CONVOLUTION_WORKSPACE, JobMemory
from collector.workloads._network_work import Layer, layers
from collector.workloads._networks import Mlp, Net, Transformer, parameter_count

#: optimizer -> numbers that it keeps for each parameter, and that a step holds besides (the
#: roots of the second moments that the fused lists of Adam make)
_KEPT = {"sgd": (0, 0), "sgd_momentum": (1, 0), "adam": (2, 1), "adamw": (2, 1)}
_KEEP_INPUT = frozenset({"linear", "convolution", "layer_norm", "attention"})


def inference_memory(
    net: Net, batch: int, item: int, samples: float, outputs: float, plain: bool = False
) -> JobMemory:
    """Forward pass without gradients; ``samples`` and ``outputs`` in bytes.

    At the layer with the most of them its inputs and outputs are alive (a convolution's in
    another layout, too; in ``plain`` array code the sum before the ReLU beside the result), and
    the arrays that residual connections and Python's frames hold.
    """
    chain = list(layers(net, batch))
    own = float(item) * parameter_count(net) + samples
    most = float(item) * max(_around(layer, 2 if plain else 1) for layer in chain)
    live = max(most + item * _held_besides(net, chain), outputs)
    return JobMemory(own + live, own + live + most)


def training_memory(net: Net, batch: int, optimizer: str, autocast: bool) -> JobMemory:
    """One training step from the second on, when the optimizer has its moments; samples apart.

    Either the backward pass has begun (all that it needs, the loss's own arrays or the gradients
    about the widest layer), or the optimizer runs (all gradients). The upper figure takes both,
    and the workspace of a convolution (``CONVOLUTION_WORKSPACE``). Under autocast each product
    keeps a copy of its weights in two bytes, and the first one of the samples.
    """
    chain = list(layers(net, batch))
    count, item = 4.0 * parameter_count(net), 2 if autocast else 4
    kept, in_step = _KEPT[optimizer]
    held, gradients = (1 + kept) * count, (1 + in_step) * count
    saved = float(
        sum(
            (4 if layer.wide else item) * layer.outputs
            for layer, reader in pairwise(chain)
            if _is_saved(net, layer, reader)
        )
    )
    if autocast:
        saved += 0.5 * count + (0.0 if isinstance(net, Transformer) else 2.0 * chain[0].inputs)
    logits = float(chain[-1].outputs)
    loss = logits * (item + (4.0 if isinstance(net, Mlp) else 8.0))
    around = item * max(layer.inputs + layer.outputs for layer in chain if layer.kind != "add")
    backward = saved + max(loss, item * logits + around)
    convolved = [layer.inputs + 2 * layer.outputs for layer in chain if layer.kind == "convolution"]
    workspace = CONVOLUTION_WORKSPACE * item * max(convolved, default=0.0)
    own = held + max(backward, gradients)
    return JobMemory(own, held + backward + gradients + around + workspace)


def _is_saved(net: Net, layer: Layer[int], reader: Layer[int]) -> bool:
    """Whether the backward pass needs a layer's result; ``reader`` is the next one's kind."""
    if layer.kind == "batch_norm":  # a ReLU or a sum reads it; neither needs its input
        return False
    if layer.kind in ("map", "attention"):
        return True
    gelu = reader.kind == "map" and isinstance(net, Transformer)
    return reader.kind in _KEEP_INPUT or reader.kind == "batch_norm" or gelu


def _around(layer: Layer[int], results: int) -> float:
    """Elements of a layer's inputs and of so many arrays of its outputs."""
    layouts = 2 if layer.kind == "convolution" else 1
    return layouts * (layer.inputs + results * layer.outputs)


def _held_besides(net: Net, chain: list[Layer[int]]) -> float:
    """Elements that wait beside the layer that runs.

    A block's input for its sum; in the transformer also the sum in the middle of a block and the
    embeddings, which the frame of ``forward`` names until it returns.
    """
    if isinstance(net, Mlp):
        return 0.0
    stream = max(layer.outputs for layer in chain if layer.kind == "add")
    return (3.0 if isinstance(net, Transformer) else 1.0) * stream
