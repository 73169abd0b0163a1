"""What known GPUs say of some cells on another one, and the process that is learnt from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from benchmarks.published_form import Operands, operands
from benchmarks.published_kernels import PRODUCTS, Gpu, log_times
from benchmarks.published_model import TILES
from benchmarks.published_pool import Pool, from_specs, with_probes
from benchmarks.published_transfer import Process, View, fit_process
from estimator.arrays import Array

_SHAPE = ("case_index", "batch", "m", "n", "k", "rows", "cols")
_AGAINST = 2.0  # added to the bias of a tile that the library is supposed not to take, in logs
_BROAD_TILE = 64.0  # side of the tile whose count stands for how far a product fills a GPU


@dataclass(frozen=True)
class Known:
    """The measured cells of some GPUs, to be looked up by shape."""

    cells: Mapping[str, pd.DataFrame]
    gpus: Mapping[str, Gpu]
    places: Mapping[str, pd.Series]  # row number by shape

    @classmethod
    def of(cls, cells: Mapping[str, pd.DataFrame], gpus: Mapping[str, Gpu]) -> Self:
        return cls(cells, gpus, {name: _places(table) for name, table in cells.items()})

    def without(self, *names: str) -> Self:
        kept = {name: table for name, table in self.cells.items() if name not in names}
        return type(self)(kept, self.gpus, {name: self.places[name] for name in kept})


def _shapes(cells: pd.DataFrame) -> pd.MultiIndex:
    return pd.MultiIndex.from_frame(cells[[*_SHAPE]].fillna(-1.0))


def _places(cells: pd.DataFrame) -> pd.Series:
    places = pd.Series(np.arange(len(cells)), index=_shapes(cells))
    return places[~places.index.duplicated()]


@dataclass(frozen=True)
class Outlook:
    """Some cells (n,) on a GPU that is not in the pool; log seconds but for ``sizes``."""

    rows: Operands
    start: Array  # (n,), from the data sheet
    donors: Array  # (gpus, n), with each known GPU's parameters
    policies: Array  # (tiles, n), if the library always took one tile; none without tiles
    residuals: Array  # (gpus, n), what known GPUs measured at this shape beyond their formula
    sizes: Array  # (n, f), logs

    @property
    def typical(self) -> Array:
        """Mean residual of the known GPUs at each shape, (n,)."""
        mean: Array = self.residuals.mean(axis=0)
        return mean

    def take(self, index: Any) -> Self:
        return type(self)(
            rows=self.rows.take(index),
            start=self.start[index],
            donors=self.donors[:, index],
            policies=self.policies[:, index],
            residuals=self.residuals[:, index],
            sizes=self.sizes[index],
        )


def outlook(pooled: Pool, known: Known, cells: pd.DataFrame, gpu: Gpu) -> Outlook:
    """``known`` holds the cells of the GPUs in ``pooled``; no time of ``cells`` is read."""
    form, rows = pooled.form, operands(cells, gpu)
    start = from_specs(pooled, rows, pooled.related(gpu, known.gpus))
    donors = np.stack([form.predict(theta, rows) for theta in pooled.own])
    policies = [form.predict(theta, rows) for theta in _policies(pooled)]
    return Outlook(
        rows=rows,
        start=start,
        donors=donors,
        policies=np.array(policies).reshape(len(policies), len(rows)),
        residuals=_residuals(pooled, known, cells),
        sizes=_sizes(cells, gpu, start),
    )


def _policies(pooled: Pool) -> list[Array]:
    """The common parameters with a bias against all tiles but one, for each tile."""
    if pooled.form.tile_slopes is None:
        return []
    count, result = len(TILES), []
    for tile in range(count):
        theta = pooled.common.copy()
        favoured = theta[-count:].min()
        theta[-count:] += _AGAINST
        theta[tile - count] = favoured
        result.append(theta)
    return result


def _residuals(pooled: Pool, known: Known, cells: pd.DataFrame) -> Array:
    """(gpus, n); the mean of the others where a GPU did not measure the shape, 0 without any."""
    shapes = _shapes(cells)
    residuals = np.full((len(pooled.gpus), len(cells)), np.nan)
    for i, name in enumerate(pooled.gpus):
        found = known.places[name].reindex(shapes).to_numpy(dtype=float)
        there = np.isfinite(found)
        if there.any():
            theirs = known.cells[name].iloc[found[there].astype(int)]
            expected = pooled.form.predict(pooled.own[i], operands(theirs, known.gpus[name]))
            residuals[i, there] = log_times(theirs) - expected
    counts = np.isfinite(residuals).sum(axis=0)
    mean = np.nansum(residuals, axis=0) / np.maximum(counts, 1)
    return np.where(np.isfinite(residuals), residuals, mean)


def _sizes(cells: pd.DataFrame, gpu: Gpu, start: Array) -> Array:
    def column(name: str) -> Array:
        return cells[name].to_numpy(dtype=float)

    held = column("bytes") / gpu.cache_bytes
    if cells["operation"].iloc[0] in PRODUCTS:
        m, n, k, batch = (column(name) for name in ("m", "n", "k", "batch"))
        tiles = batch * np.ceil(m / _BROAD_TILE) * np.ceil(n / _BROAD_TILE)
        per_byte = column("flop") / column("bytes")
        sizes = [m, n, k, batch, tiles / gpu.multiprocessors, per_byte, held]
    else:
        sizes = [column("rows"), column("cols"), held, column("bytes") / gpu.bytes_per_s]
    return np.column_stack([*(np.log(size) for size in sizes), start])


@dataclass(frozen=True)
class Lens:
    """How an outlook becomes the mean, the spans and the features of a process."""

    centre: Array  # (f,), of the sizes
    scale: Array  # (f,)
    shared: float  # share of the known GPUs' typical residual that another GPU shows

    def __call__(self, seen: Outlook) -> View:
        typical = self.shared * seen.typical
        spans = [seen.donors - seen.start, seen.residuals - typical]
        if len(seen.policies):
            spans.append(seen.policies - seen.start)
        features = (seen.sizes - self.centre) / self.scale
        return View(seen.start + typical, tuple(spans), features)


@dataclass(frozen=True)
class Transfer:
    """From outlooks to predictions; learnt from known GPUs, each predicted from the rest."""

    process: Process
    lens: Lens

    def choose(self, offered: Outlook, count: int) -> list[int]:
        """Which of the offered cells to measure; reads no time."""
        return self.process.choose(self.lens(offered), count)

    def predict(
        self, pooled: Pool, probes: Outlook, times: Array, asked: Outlook
    ) -> tuple[Array, Array]:
        """log t and its standard deviation, (n,) each, after the times of ``probes``.

        Memory operations have few parameters, which a few probes tell: there the mean is half
        way to the formula with parameters moved to the probes.
        """
        mean, deviation = self.process.posterior(self.lens(probes), times, self.lens(asked))
        if len(times) and pooled.form.tile_slopes is None:
            mean = 0.5 * (mean + with_probes(pooled, probes.rows, times, asked.rows))
        return mean, deviation


def learn(outlooks: Sequence[Outlook], times: Sequence[Array]) -> Transfer:
    """``outlooks`` of known GPUs, each from the others, with the log times measured."""
    sizes = np.concatenate([seen.sizes for seen in outlooks])
    scale = np.maximum(sizes.std(axis=0), 1e-6)  # a size that never changes says nothing
    lens = Lens(sizes.mean(axis=0), scale, _shared(outlooks, times))
    return Transfer(fit_process([lens(seen) for seen in outlooks], times), lens)


def _shared(outlooks: Sequence[Outlook], times: Sequence[Array]) -> float:
    """Least-squares slope, 0 to 1, of errors by typical residuals, each GPU about its median."""
    product, square = 0.0, 0.0
    for seen, measured in zip(outlooks, times, strict=True):
        error = measured - seen.start
        error = np.clip(error - np.median(error), -1.0, 1.0)
        product += float(error @ seen.typical)
        square += float(seen.typical @ seen.typical)
    return float(np.clip(product / max(square, 1e-12), 0.0, 1.0))
