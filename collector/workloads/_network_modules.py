"""The residual network and the transformer as PyTorch modules, written as users write them."""

from __future__ import annotations

from typing import Any

from collector.workloads._networks import (
    IMAGE_CHANNELS,
    Net,
    ResNet,
    Transformer,
    buffers,
    parameters,
)


def make_resnet(torch: Any, net: ResNet) -> Any:
    """Images (batch, 3, 32, 32) to logits (batch, outputs); contiguous (NCHW) memory."""
    nn, relu = torch.nn, torch.nn.functional.relu

    def convolution(channels_in: int, channels_out: int, side: int, stride: int = 1) -> Any:
        return nn.Conv2d(channels_in, channels_out, side, stride, padding=side // 2, bias=False)

    class Block(nn.Module):  # type: ignore[name-defined]
        def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
            super().__init__()
            self.first = convolution(channels_in, channels_out, 3, stride)
            self.first_norm = nn.BatchNorm2d(channels_out)
            self.second = convolution(channels_out, channels_out, 3)
            self.second_norm = nn.BatchNorm2d(channels_out)
            self.changes_shape = channels_in != channels_out
            if self.changes_shape:
                self.shortcut = convolution(channels_in, channels_out, 1, stride)
                self.shortcut_norm = nn.BatchNorm2d(channels_out)

        def forward(self, x: Any) -> Any:
            inner = relu(self.first_norm(self.first(x)))
            inner = self.second_norm(self.second(inner))
            if self.changes_shape:
                x = self.shortcut_norm(self.shortcut(x))
            return relu(inner + x)

    class Network(nn.Module):  # type: ignore[name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.stem = convolution(IMAGE_CHANNELS, net.stages[0], 3)
            self.stem_norm = nn.BatchNorm2d(net.stages[0])
            self.blocks = nn.Sequential(*(Block(*block) for block in net.blocks))
            self.head = nn.Linear(net.stages[-1], net.outputs)

        def forward(self, x: Any) -> Any:
            x = self.blocks(relu(self.stem_norm(self.stem(x))))
            return self.head(x.mean(dim=(2, 3)))

    return Network()


def make_transformer(torch: Any, net: Transformer) -> Any:
    """Tokens (batch, sequence) to logits (batch, sequence, outputs)."""
    nn, functional = torch.nn, torch.nn.functional

    class Block(nn.Module):  # type: ignore[name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.attention_norm = nn.LayerNorm(net.width)
            self.qkv = nn.Linear(net.width, 3 * net.width)
            self.projection = nn.Linear(net.width, net.width)
            self.feed_norm = nn.LayerNorm(net.width)
            self.up = nn.Linear(net.width, net.hidden)
            self.down = nn.Linear(net.hidden, net.width)

        def attend(self, x: Any) -> Any:
            batch, sequence, width = x.shape
            split = (batch, sequence, net.heads, width // net.heads)
            query, key, value = (
                part.view(split).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=-1)
            )
            mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
            return self.projection(mixed.transpose(1, 2).reshape(batch, sequence, width))

        def forward(self, x: Any) -> Any:
            x = x + self.attend(self.attention_norm(x))
            inner = functional.gelu(self.up(self.feed_norm(x)), approximate="tanh")
            return x + self.down(inner)

    class Network(nn.Module):  # type: ignore[name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.positions = nn.Parameter(torch.empty(net.sequence, net.width))
            # random numbers on the device "meta" would import much of PyTorch's compiler
            rows = torch.empty(net.outputs, net.width)
            self.tokens = nn.Embedding.from_pretrained(rows, freeze=False)
            self.blocks = nn.Sequential(*(Block() for _ in range(net.layers)))
            self.last_norm = nn.LayerNorm(net.width)
            self.head = nn.Linear(net.width, net.outputs, bias=False)

        def forward(self, tokens: Any) -> Any:
            x = self.tokens(tokens) + self.positions
            return self.head(self.last_norm(self.blocks(x)))

    return Network()


def torch_module(torch: Any, net: Net, device: str, dtype: str = "float32") -> Any:
    """The net with the parameters above as a torch.nn.Module, on the device.

    It is made on the device "meta" first, which spares PyTorch's own random numbers.
    """
    with torch.device("meta"):
        model = _empty_module(torch, net)
    state = {**parameters(net, dtype), **buffers(net, dtype)}
    target = getattr(torch, dtype)
    tensors = {
        name: torch.tensor(values, dtype=target, device=device) for name, values in state.items()
    }
    for name in model.state_dict():
        if name.endswith("num_batches_tracked"):
            tensors[name] = torch.zeros((), dtype=torch.int64, device=device)
    model.load_state_dict(tensors, assign=True)
    return model


def _empty_module(torch: Any, net: Net) -> Any:
    if isinstance(net, ResNet):
        return make_resnet(torch, net)
    if isinstance(net, Transformer):
        return make_transformer(torch, net)
    layers: list[Any] = []
    for inputs, outputs in net.layers:
        if layers:
            layers.append(torch.nn.ReLU())
        layers.append(torch.nn.Linear(inputs, outputs))
    return torch.nn.Sequential(*layers)
