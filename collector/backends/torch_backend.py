"""PyTorch on the CPU and on CUDA."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from collector.backends.base import Array, Backend
from collector.backends.cuda import cycles_for, flush_bytes


class TorchBackend(Backend):
    """CPU tensors share memory with numpy; CUDA ones use the current stream."""

    name = "torch"

    def __init__(self, device: str) -> None:
        super().__init__(device)
        import torch
        import torch._dynamo  # what the first optimizer would import in the midst of its first step

        self._torch: Any = torch
        self.module = torch
        if device == "cuda":
            torch.cuda.init()
            properties = torch.cuda.get_device_properties(0)
            self._flush_target = torch.empty(
                flush_bytes(properties.L2_cache_size) // 4, dtype=torch.int32, device="cuda"
            )
            self._events = [torch.cuda.Event(enable_timing=True) for _ in range(2)]

    def host(self, array: Array, dtype: str) -> Any:
        tensor = self._torch.from_numpy(np.ascontiguousarray(array))
        return tensor.to(getattr(self._torch, dtype))

    def upload(self, host_array: Any) -> Any:
        return host_array.to(self.device, copy=True)

    def download(self, device_array: Any) -> Any:
        return device_array.detach().cpu()

    def to_numpy(self, array: Any) -> Array:
        tensor = array.detach().cpu()
        if tensor.dtype in (self._torch.bfloat16, self._torch.float16):
            tensor = tensor.float()
        result: Array = tensor.numpy()
        return result

    def poison(self, array: Any) -> None:
        if isinstance(array, self._torch.Tensor):
            floating = array.is_floating_point() or array.is_complex()
            with self._torch.inference_mode():  # else a tensor made in that mode refuses
                array.fill_(float("nan") if floating else -1)

    def empty(self, count: int, dtype: str) -> Any:
        return self._torch.ones(count, dtype=getattr(self._torch, dtype), device=self.device)

    def empty_host(self, count: int, dtype: str, pinned: bool) -> Any:
        tensor = self._torch.ones(count, dtype=getattr(self._torch, dtype))
        return tensor.pin_memory() if pinned else tensor

    def copy(self, target: Any, source: Any) -> Any:
        return target.copy_(source, non_blocking=True)

    def set_math_mode(self, math_mode: str) -> None:
        # PyTorch leaves tf32 off for products but on for convolutions: set both
        self._torch.backends.cuda.matmul.allow_tf32 = math_mode == "tf32"
        self._torch.backends.cudnn.allow_tf32 = math_mode == "tf32"

    def set_threads(self, threads: int) -> None:
        self._torch.set_num_threads(threads)

    def synchronize(self) -> None:
        if self.device == "cuda":
            self._torch.cuda.synchronize()

    def time_device(self, call: Callable[[], Any], calls: int, lead_s: float) -> float:
        start, end = self._events
        if lead_s > 0:
            self._torch.cuda._sleep(cycles_for(lead_s))
        start.record()
        for _ in range(calls):
            call()
        end.record()
        self._torch.cuda.synchronize()
        return float(start.elapsed_time(end)) * 1e-3

    def flush_cache(self) -> None:
        if self.device != "cuda":
            super().flush_cache()
        self._flush_target.zero_()

    def free_memory_bytes(self) -> float:
        if self.device != "cuda":
            return super().free_memory_bytes()
        free, _ = self._torch.cuda.mem_get_info()
        cached = self._torch.cuda.memory_reserved() - self._torch.cuda.memory_allocated()
        return float(free + cached)

    def release(self) -> None:
        if self.device == "cuda":
            self._torch.cuda.empty_cache()

    def is_out_of_memory(self, error: BaseException) -> bool:
        return isinstance(error, MemoryError | self._torch.OutOfMemoryError) or (
            "can't allocate memory" in str(error)
        )

    def is_fatal(self, error: BaseException) -> bool:
        return isinstance(error, self._torch.AcceleratorError) or "CUDA error" in str(error)
