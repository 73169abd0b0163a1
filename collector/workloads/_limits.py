"""What may limit the speed of a family: what the estimator assumes before it sees measurements."""

from __future__ import annotations

from enum import StrEnum


class Limit(StrEnum):
    """One kind of limit. A family has one at least; those that fit none say MEMORY.

    PRODUCTS        arithmetic of matrix products, on matrix units where a GPU has them
    PLAIN_PRODUCTS  and one product as it stands: efficiencies over a data sheet differ little
    STEPPING        elements one by one: the FLOP are steps whose rate no product tells
    LOOPING         the same in libraries that run a loop as it is written (python, numba)
    STREAMING       memory, read and written in order: tells of a machine's caches
    SCATTERED       memory out of order: a rate of its own
    MEMORY          memory, but no more is known
    TRANSFORMS      on a GPU slower than copies through memory, and hardly faster from a cache
    ROWS            on a GPU a row is a block of threads: a shape's width counts rows
    AWKWARD         some shapes are slower than others of their size (``Shape.awkward``)
    GRAINED         CPU libraries leave each thread a least number of elements
    OVERCOUNTED     the counted bytes are more than must move
    CALLS           the host's calls
    BUS             copies between host and device
    """

    PRODUCTS = "products"
    PLAIN_PRODUCTS = "plain products"
    STEPPING = "stepping"
    LOOPING = "looping"
    STREAMING = "streaming"
    SCATTERED = "scattered"
    MEMORY = "memory"
    TRANSFORMS = "transforms"
    ROWS = "rows"
    AWKWARD = "awkward"
    GRAINED = "grained"
    OVERCOUNTED = "overcounted"
    CALLS = "calls"
    BUS = "bus"
