"""Linear algebra on one thread: a fit solves many small systems, which more only slow down."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache, wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

P = ParamSpec("P")
R = TypeVar("R")


def one_blas_thread(function: Callable[P, R]) -> Callable[P, R]:
    """The function with the BLAS of numpy and scipy held to one thread while it runs.

    On two cores a fit takes twice to ten times as long with as many threads: systems of some
    hundred rows wait for each other more than they share.
    """

    @wraps(function)
    def held(*args: P.args, **kwargs: P.kwargs) -> R:
        with _limit():
            return function(*args, **kwargs)

    return held


def _limit() -> AbstractContextManager[Any]:
    limit: AbstractContextManager[Any] = _controller().limit(limits=1, user_api="blas")
    return limit


@cache
def _controller() -> ThreadpoolController:
    """Looking for the libraries takes milliseconds: once is enough after scipy is loaded."""
    import scipy.linalg  # noqa: F401  its own BLAS must be found too
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
