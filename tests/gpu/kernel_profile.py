"""Kernels that PyTorch's profiler sees in a call."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

CALLS = 4

#: what libraries start around a product, a convolution or a transform, by version and choice:
#: sums of split products, changes of layout, transforms of tiles, scalings
_HELPERS = re.compile(
    "splitK|split_k_kernel|nchwToNhwc|nhwcToNchw|tensorTransform|scalePackedTensor|scal_kernel"
    "|fft2d|flip_filter|winograd.*(Data|Delta|Output)|region_transform|init_device_workspace"
    "|epilogue|matrix_scalar_multiply"
)
#: the device's other events: copies, fills, the ranges of named host code
_NO_KERNELS = ("Memcpy", "Memset", "Optimizer.", "ProfilerStep")


@dataclass(frozen=True)
class KernelCount:
    """Kernels of one call, without the libraries' helpers and with them."""

    without_helpers: float
    total: float
    names: tuple[str, ...]

    def agrees(self, expected: int) -> bool:
        """Whether a formula's count lies between both, with 30 % or one kernel to spare."""
        lowest = self.without_helpers - max(1.0, 0.3 * self.without_helpers)
        return lowest <= expected <= self.total + max(1.0, 0.3 * self.total)


def count_kernels(function, operands, backend) -> KernelCount:
    """Profile a few calls; skips the test where the profiler sees nothing."""
    torch = backend.module
    for _ in range(3):
        function(*operands)
    backend.synchronize()
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        for _ in range(CALLS):
            function(*operands)
        backend.synchronize()
    names = [
        event.name
        for event in profile.events()
        if event.device_type == torch.autograd.DeviceType.CUDA
        and not event.name.startswith(_NO_KERNELS)
    ]
    if not names:
        pytest.skip("the profiler sees no kernels on this machine")
    helpers = sum(bool(_HELPERS.search(name)) for name in names)
    return KernelCount(
        (len(names) - helpers) / CALLS, len(names) / CALLS, tuple(sorted(set(names)))
    )
