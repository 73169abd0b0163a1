"""Checkpoints of a traced program are kept in memory: its weights have no values."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._pytree import tree_leaves, tree_map_only

from estimator.running.files import Files, absolute


class TorchFiles(Files):
    """The program's files, and what it saves and loads by torch."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._weights: dict[str, Any] = {}  # by where they would be

    def install(self) -> None:
        super().install()
        save, load = torch.save, torch.load

        def saved(content: Any, file: Any, *args: Any, **kwargs: Any) -> None:
            """Data is kept as a file; what holds weights, which have no values, as it is."""
            path = absolute(file) if isinstance(file, str | os.PathLike) else None
            if not _has_weights(content):
                save(content, file if path is None else self.kept(path), *args, **kwargs)
            elif path is not None:
                Path(self.kept(path)).touch()
                self._weights[self.kept(path)] = content

        def loaded(file: Any, map_location: Any = None, *args: Any, **kwargs: Any) -> Any:
            """Read on the CPU, then moved where the program wants it."""
            if isinstance(file, str | os.PathLike):
                file = self.moved.get(absolute(file), file)
            found = self._weights.get(file) if isinstance(file, str) else None
            if found is None:
                found = load(file, "cpu", *args, **kwargs)
            if isinstance(map_location, str | torch.device) and "cuda" in str(map_location):
                return tree_map_only(torch.Tensor, lambda one: one.to(map_location), found)
            return found

        torch.save, torch.load = saved, loaded


def _has_weights(content: Any) -> bool:
    return any(isinstance(one, FakeTensor | torch.nn.Module) for one in tree_leaves(content))
