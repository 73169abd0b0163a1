"""What a program asks for and this machine has not: data, weights, modules that only report.

Data and weights are replaced where their shapes are known (the datasets of torchvision, weights of
torchvision and timm); each replacement is noted in the job.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

import torch
from torch import nn

Note = Callable[[str], None]

#: modules that only report, draw or read options: without them a program computes the same
_REPORTING = frozenset(
    {
        "wandb",
        "tensorboard",
        "tensorboardX",
        "mlflow",
        "comet_ml",
        "neptune",
        "visdom",
        "clearml",
        "swanlab",
        "aim",
        "matplotlib",
        "seaborn",
        "tqdm",
        "progressbar",
        "rich",
        "colorama",
        "termcolor",
        "tabulate",
        "torchsummary",
        "torchinfo",
        "thop",
        "torchviz",
        "livelossplot",
        "nvitop",
        "pynvml",
        "GPUtil",
        "psutil",
    }
)

#: dataset of torchvision -> (images of training, of test, size, classes)
_DATASETS: dict[str, tuple[int, int, tuple[int, ...], int]] = {
    "MNIST": (60_000, 10_000, (28, 28), 10),
    "FashionMNIST": (60_000, 10_000, (28, 28), 10),
    "KMNIST": (60_000, 10_000, (28, 28), 10),
    "EMNIST": (112_800, 18_800, (28, 28), 47),
    "QMNIST": (60_000, 60_000, (28, 28), 10),
    "CIFAR10": (50_000, 10_000, (32, 32, 3), 10),
    "CIFAR100": (50_000, 10_000, (32, 32, 3), 100),
    "SVHN": (73_257, 26_032, (32, 32, 3), 10),
    "STL10": (5_000, 8_000, (96, 96, 3), 10),
    "CelebA": (162_770, 19_962, (218, 178, 3), 10_177),
    "LSUN": (3_033_042, 300, (256, 256, 3), 1),
    "Flowers102": (1_020, 6_149, (500, 600, 3), 102),
    "Food101": (75_750, 25_250, (512, 512, 3), 101),
    "OxfordIIITPet": (3_680, 3_669, (375, 500, 3), 37),
    "ImageNet": (1_281_167, 50_000, (375, 500, 3), 1_000),
    "ImageFolder": (10_000, 10_000, (375, 500, 3), 1_000),
}


class _Weights(dict[str, Any]):
    """Weights that were not there: any model takes them."""


def install(note: Note) -> None:
    """Put stand-ins where the program will look."""
    _weights(note)
    after: dict[str, Callable[[ModuleType, Note], None]] = {
        "torchvision.datasets": _datasets,
        "timm": _timm,
    }
    sys.meta_path.insert(0, _Watcher({"torchvision": _operators}, after, note))
    sys.meta_path.insert(0, _Reporting(note, frozenset(("torch.utils.tensorboard", "wandb"))))
    sys.meta_path.append(_Reporting(note, _REPORTING))


def _weights(note: Note) -> None:
    load = nn.Module.load_state_dict

    def load_state_dict(self: Any, state_dict: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(state_dict, _Weights):
            return nn.modules.module._IncompatibleKeys([], [])
        return load(self, state_dict, *args, **kwargs)

    def load_state_dict_from_url(url: str, *_: Any, **__: Any) -> Any:
        note(f"weights: {url.rsplit('/', 1)[-1][:60]} was not downloaded; random ones stand in")
        return _Weights()

    nn.Module.load_state_dict = load_state_dict
    import torch.hub

    torch.hub.load_state_dict_from_url = load_state_dict_from_url


#: operators that torchvision gives shapes of when it is imported
_VISION = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


def _operators(spec: Any) -> None:
    """torchvision's compiled operators where they do not load beside this build of torch."""
    from pathlib import Path

    for path in Path(spec.origin or "").parent.glob("_C*"):
        try:
            torch.ops.load_library(str(path))
        except OSError:
            continue
    if not hasattr(torch.ops.torchvision, "nms"):
        library = torch.library.Library("torchvision", "FRAGMENT")
        for schema in _VISION:
            library.define(schema)
        _kept.append(library)


_kept: list[Any] = []


def _timm(module: ModuleType, note: Note) -> None:
    builder: Any = importlib.import_module("timm.models._builder")

    def load_pretrained(model: Any, *_: Any, **__: Any) -> None:
        note("weights: timm's pretrained ones were not downloaded; random ones stand in")

    builder.load_pretrained = load_pretrained


def _datasets(module: ModuleType, note: Note) -> None:
    model_weights: Any = sys.modules.get("torchvision.models._api")
    if model_weights is not None:
        model_weights.load_state_dict_from_url = torch.hub.load_state_dict_from_url
    for name, (train, test, size, classes) in _DATASETS.items():
        if hasattr(module, name):
            setattr(module, name, _stand_in(getattr(module, name), name, train, test, size,
                                            classes, note))  # fmt: skip


def _stand_in(
    original: Any, name: str, train: int, test: int, size: tuple[int, ...], classes: int, note: Note
) -> Any:
    """The dataset where it is on disk, else one of random images of its shape."""

    class Random(torch.utils.data.Dataset):
        """Random images with random labels."""

        def __init__(self, count: int, transform: Any, target_transform: Any) -> None:
            self.count = count
            self.transform, self.target_transform = transform, target_transform
            self.classes = [str(one) for one in range(classes)]
            self.class_to_idx = {one: index for index, one in enumerate(self.classes)}
            generator = torch.Generator().manual_seed(0)
            self._drawn = torch.randint(classes, (min(count, 65_536),), generator=generator)

        @property
        def targets(self) -> Any:
            """A tensor for grey images, a list for those in colour: as the datasets have it."""
            every = self._drawn.repeat(-(-self.count // len(self._drawn)))[: self.count]
            return every if len(size) == 2 else every.tolist()

        @property
        def data(self) -> Any:
            import numpy as np

            images = np.random.default_rng(0).integers(0, 256, (self.count, *size), dtype=np.uint8)
            return torch.from_numpy(images) if len(size) == 2 else images

        def __len__(self) -> int:
            return self.count

        def __getitem__(self, index: int) -> Any:
            import numpy as np
            from PIL import Image

            if not 0 <= index < self.count:
                raise IndexError(index)
            pixels = np.random.default_rng(index).integers(0, 256, size, dtype=np.uint8)
            image: Any = Image.fromarray(pixels)
            label: Any = int(self._drawn[index % len(self._drawn)])
            if self.transform is not None:
                image = self.transform(image)
            if self.target_transform is not None:
                label = self.target_transform(label)
            return image, label

    def make(*args: Any, **kwargs: Any) -> Any:
        kwargs = {**kwargs, "download": False} if "download" in kwargs else kwargs
        try:
            return original(*args, **kwargs)
        except (RuntimeError, OSError, ValueError, TypeError, ModuleNotFoundError):
            note(f"data: {name} is not here; random images of its shape stand in")
        named = dict(zip(("root", "train"), args, strict=False)) | kwargs
        training = named.get("train", named.get("split", "train")) in (True, "train")
        transform = kwargs.get("transform") or next(
            (one for one in args[1:] if callable(one)), None
        )
        return Random(train if training else test, transform, kwargs.get("target_transform"))

    return type(name, (_Either,), {"__new__": lambda cls, *a, **k: make(*a, **k)})


class _Either:
    """A class whose calls give the dataset or its stand-in."""


class _Watcher(importlib.abc.MetaPathFinder):
    """Calls a function before a module is imported, or on it afterwards."""

    def __init__(
        self,
        before: dict[str, Callable[[Any], None]],
        after: dict[str, Callable[[ModuleType, Note], None]],
        note: Note,
    ) -> None:
        self._before, self._after, self._note = dict(before), dict(after), note

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        prepare, change = self._before.pop(name, None), self._after.pop(name, None)
        if prepare is None and change is None:
            return None
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return None
        if prepare is not None:
            prepare(spec)
        if change is None:
            return spec
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            change(module, self._note)

        loader: Any = spec.loader
        loader.exec_module = exec_module
        return spec


class _Silent(ModuleType):
    """A module that takes every call and does nothing."""

    __path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Nothing()


class _Nothing:
    """Anything that a reporting module has: callable, iterable, a context."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._items = args[0] if args and hasattr(args[0], "__iter__") else ()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if len(args) == 1 and callable(args[0]) and not kwargs:
            return args[0]  # a decorator
        return _Nothing(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Nothing()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, key: Any) -> Any:
        return _Nothing()

    def __setitem__(self, key: Any, value: Any) -> None: ...

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None: ...

    def __format__(self, spec: str) -> str:
        return ""

    def __fspath__(self) -> str:
        return "nothing"


class _Reporting(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives a silent module for one that only reports and is not installed."""

    def __init__(self, note: Note, names: frozenset[str]) -> None:
        self._note, self._names = note, names

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> Any:
        if not any(name == one or name.startswith(f"{one}.") for one in self._names):
            return None
        if sys._getframe(1).f_code.co_filename.endswith("util.py"):
            return None  # asked whether it is installed, not for the module
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: Any) -> ModuleType:
        return _Silent(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        if module.__name__ in self._names:
            self._note(f"{module.__name__}: what it would report is left out")
