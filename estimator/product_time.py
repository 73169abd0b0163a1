"""Time of products that a GPU cuts into tiles: for each the fastest way to compute it. Pure."""

from __future__ import annotations

import numpy as np

from estimator.kernel_work import Array, Indices, KernelWork

#: Parameters that the time of a GPU's products depends on.
OF_PRODUCTS = (
    *("compute_flop_per_s", "algorithm_factor", "depth_half", "tile_half", "area_half"),
    *("memory_bytes_per_s", "launch_s"),
)

_TINY = 1e-300
_NEXT_KERNEL = 0.5  # of a launch: a kernel behind another (stated choice)


def product_seconds(
    log: dict[str, Array], plain: Array, work: KernelWork, rows: Indices
) -> tuple[Array, dict[str, Array]]:
    """Seconds of the products of some rows, and the slopes of their logarithm.

    ``rows`` (c,) have products, ``log`` their parameters, (c,) each, and ``plain`` (c,) the
    seconds of their useful FLOP. Slopes are of ``OF_PRODUCTS``.
    """
    seconds = np.zeros(len(rows))
    slopes = {name: np.zeros(len(rows)) for name in OF_PRODUCTS}
    for column in range(work.product.shape[1]):
        there = np.flatnonzero(work.product[rows, column] >= 0)
        if not len(there):
            break
        here, of = rows[there], {name: log[name][there] for name in OF_PRODUCTS}
        useful = plain[there] * work.part[here, column]
        found, by = _fastest_way(of, useful, work.product[here, column], work, here)
        seconds[there] += found
        for name in OF_PRODUCTS:
            slopes[name][there] += by[name] * found
    whole = np.maximum(seconds, _TINY)
    return seconds, {name: slope / whole for name, slope in slopes.items()}


def _fastest_way(
    log: dict[str, Array], plain: Array, of: Indices, work: KernelWork, rows: Indices
) -> tuple[Array, dict[str, Array]]:
    """Seconds of the fastest way, (c,), of ``plain`` seconds of useful FLOP; slopes of the log.

    ``of`` (c,) are the products in ``work.tilings``, ``rows`` (c,) their rows of ``work``.
    """
    ways, every = work.tilings, np.arange(len(rows))
    start = np.exp(log["depth_half"]) / ways.depth[of]
    idle = np.exp(log["area_half"]) / ways.area[of]
    side = 1.0 + (np.exp(log["tile_half"])[:, None] / ways.side) ** 2
    tiles = ways.waves[of]
    tiles += idle[:, None, None]
    tiles *= side[:, None, :]
    best_tiles = tiles.argmin(axis=2)
    area = np.take_along_axis(tiles, best_tiles[:, :, None], axis=2)[:, :, 0]
    depth = ways.depth_share + start[:, None]
    algorithm = np.where(ways.special > 0.0, np.exp(log["algorithm_factor"])[:, None], 1.0)
    product = plain[:, None] * area * depth * algorithm
    per_byte = np.exp(-log["memory_bytes_per_s"]) / work.byte_unit[rows]
    total = product + ways.extra[of] * per_byte[:, None]
    next_kernel = _NEXT_KERNEL * np.exp(log["launch_s"])
    total += next_kernel[:, None] * ways.kernels
    way = total.argmin(axis=1)
    seconds = total[every, way]
    tile_side = side[every, best_tiles[every, way]]
    share = product[every, way] / np.maximum(seconds, _TINY)
    slopes = {
        "compute_flop_per_s": -share,
        "algorithm_factor": share * (ways.special[way] + work.special[rows]),
        "depth_half": share * start / depth[every, way],
        "tile_half": 2.0 * share * (1.0 - 1.0 / tile_side),
        "area_half": share * idle * tile_side / area[every, way],
        "launch_s": next_kernel * ways.kernels[way] / np.maximum(seconds, _TINY),
    }
    slopes["memory_bytes_per_s"] = share + slopes["launch_s"] - 1.0
    return seconds, slopes
