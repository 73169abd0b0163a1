"""Systems of equations, decompositions and eigenvalues: numpy.linalg and what is called alike."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from collector.workloads import _matrices as matrices
from collector.workloads._base import (
    Arrays,
    Check,
    Function,
    GridPoint,
    Params,
    Workload,
    points,
    sizes,
    uniform,
)
from collector.workloads._job_memory import JobMemory
from collector.workloads._labels import COLUMNS, ROWS
from collector.workloads._limits import Limit
from collector.workloads._shape import Question, Shape
from collector.workloads._survey import Space
from collector.workloads._types import F32, F64, ITEM_BYTES, UNIT_ROUNDOFF
from collector.workloads._work import Count, Floats, Work

if TYPE_CHECKING:
    from collector.backends.base import Backend

_BOTH = (F64, F32)
_SQUARE = {"n": None}
_TALL = {"rows": None, "cols": None}
_STACK = {"batch": None, "n": None}

_EIGEN = ("eigh", "eigvalsh", "svd", "lstsq", "eig")
_STACKS = ("batched_solve", "batched_eigh")

#: On a GPU each column waits for the one before it: as long as the device takes for so many times
#: the width that keeps it busy (choices, not yet checked). Of all else, ``_EIGEN`` and ``_STACKS``.
_COLUMN_WAIT, _EIGEN_WAIT, _STACK_WAIT = 64.0, 8.0, 1.0

#: Choices from the residuals of a Xeon with OpenBLAS. Each matrix of a stack is a call of LAPACK's,
#: as long as so many FLOP, and so small that vectors take longer than products: as long as
#: products of so many columns. Tall matrices are worked on in blocks of columns. Least squares
#: take norms, scale and copy: as long as so many FLOP for an element.
_CALL_STEPS, _VECTORS, _BLOCK, _LSTSQ_STEPS = 1500.0, 80.0, 32.0, 30.0

#: Calls that NumPy's function makes of its own, where they are several.
_CALLS = {"eigh": 2, "svd": 2, "qr": 4, "eig": 3, "lstsq": 3}
#: Kernels of a GPU at least, where n is small: copies, the factorization and what follows.
_KERNELS = {
    **{"solve": 5, "inverse": 5, "determinant": 12, "cholesky": 3, "eigh": 4, "eigvalsh": 4},
    **{"svd": 4, "qr": 6, "eig": 6, "lstsq": 12, "batched_solve": 6, "batched_eigh": 3},
}

#: Operations that a standard suite measures on a CPU in float64, by NumPy and (few) by torch.
_CPU_SIZES: dict[str, tuple[int, ...]] = {
    "solve": (10, 100, 300, 1000, 2000),
    "inverse": (10, 100, 1000),
    "determinant": (3, 300),
    "cholesky": (10, 100, 1000),
    "eigh": (3, 30, 100, 300, 700),
    "eigvalsh": (10, 100, 400),
    "eig": (3, 30, 200),
}
_CPU_SHAPES: dict[str, tuple[tuple[int, int], ...]] = {
    "svd": ((4, 4), (100, 100), (1000, 50), (400, 400)),
    "qr": ((4, 4), (1000, 10), (1000, 100), (500, 500)),
    "lstsq": ((100, 3), (10_000, 20), (300, 300)),
}
_CPU_STACKS: dict[str, tuple[tuple[int, int], ...]] = {
    "batched_solve": ((1000, 3), (100, 50)),
    "batched_eigh": ((1000, 3), (50, 50)),
}
_TORCH_CPU: dict[str, tuple[int, ...]] = {"solve": (100, 1000), "eigh": (100, 400)}
_FULL = (2, 50, 500)
_FULL_SHAPES = ((5000, 100), (100, 1000))

_CUDA_SIZES: dict[str, tuple[int, ...]] = {
    "solve": (10, 100, 300, 1000, 3000),
    "inverse": (10, 300, 2000),
    "determinant": (10, 1000),
    "cholesky": (10, 300, 1000, 3000),
    "eigh": (10, 100, 300, 1000, 2000),
    "eigvalsh": (100, 1000),
    "eig": (100,),
}
_CUDA_SHAPES: dict[str, tuple[tuple[int, int], ...]] = {
    "svd": ((10, 10), (100, 100), (2000, 100), (500, 500)),
    "qr": ((10, 10), (2000, 100), (1000, 1000)),
    "lstsq": ((100, 3), (10_000, 20), (300, 300)),
}
_CUDA_STACKS: dict[str, tuple[tuple[int, int], ...]] = {
    "batched_solve": ((1000, 3), (1000, 50)),
    "batched_eigh": ((1000, 3), (100, 50)),
}
_TORCH_CUDA: dict[str, tuple[int, ...]] = {
    "solve": (100, 1000, 3000),
    "cholesky": (1000,),
    "eigh": (100, 1000),
}


class LinearAlgebra(Workload):
    """Each library's function as scripts call it: a new result, operands left as they are.

    NumPy casts float32 and computes in float64 (2.4).
    """

    name = "linear_algebra"
    summary = "systems of equations, decompositions, eigenvalues; one matrix or many small ones"
    size_meaning = "elements of the matrices"
    signatures = {
        "solve": {"n": None, "rhs": 1},
        "inverse": _SQUARE,
        "determinant": _SQUARE,
        "cholesky": _SQUARE,
        "eigh": _SQUARE,
        "eigvalsh": _SQUARE,
        "svd": _TALL,
        "qr": _TALL,
        "eig": _SQUARE,
        "lstsq": _TALL,
        "batched_solve": _STACK,
        "batched_eigh": _STACK,
    }
    support = {
        ("numpy", "cpu"): _BOTH,
        ("torch", "cpu"): _BOTH,
        ("torch", "cuda"): _BOTH,
        ("cupy", "cuda"): _BOTH,
    }
    threaded_backends = frozenset({"numpy", "torch"})
    rank = 15
    label = "Linear algebra"
    case_labels = {
        "solve": "System of equations",
        "inverse": "Inverse",
        "determinant": "Determinant",
        "cholesky": "Cholesky decomposition",
        "eigh": "Eigenvectors, symmetric",
        "eigvalsh": "Eigenvalues, symmetric",
        "svd": "Singular values and vectors",
        "qr": "QR decomposition",
        "eig": "Eigenvectors, any matrix",
        "lstsq": "Least squares",
        "batched_solve": "Many small systems",
        "batched_eigh": "Eigenvectors of many small",
    }
    parameter_labels = {
        "n": ("Rows and columns", "Rows and columns of the matrix, or of each one."),
        "rhs": ("Right-hand sides", "Vectors that the same system is solved for."),
        "rows": ROWS,
        "cols": COLUMNS,
        "batch": ("Matrices", "Matrices that one call works on."),
    }
    start_values = {"n": 500, "rows": 1000, "cols": 100, "batch": 100}
    survey = {
        "cuda": (
            Space("solve", {"n": (2, 4000), "rhs": [1]}, {F64: 15, F32: 6}),
            Space("solve", {"n": (10, 2000), "rhs": (2, 2000)}, {F64: 6}),
            Space("inverse", {"n": (2, 3000)}, {F64: 9, F32: 3}),
            Space("determinant", {"n": (2, 3000)}, {F64: 6}),
            Space("cholesky", {"n": (2, 4000)}, {F64: 12, F32: 3}),
            Space("eigh", {"n": (2, 2000)}, {F64: 15, F32: 6}),
            Space("eigvalsh", {"n": (2, 2000)}, {F64: 6}),
            Space("svd", {"rows": (4, 3000), "cols": (2, 600)}, {F64: 15, F32: 3}),
            Space("qr", {"rows": (4, 4000), "cols": (2, 1000)}, {F64: 12, F32: 3}),
            # PyTorch on a GPU takes no more unknowns than equations
            Space("lstsq", {"rows": (10, 30_000), "cols": (2, 10)}, {F64: 5}),
            Space("lstsq", {"rows": (300, 30_000), "cols": (10, 300)}, {F64: 6}),
            Space("batched_solve", {"batch": (10, 20_000), "n": (2, 200)}, {F64: 12, F32: 3}),
            Space("batched_eigh", {"batch": (10, 3000), "n": (2, 100)}, {F64: 9}),
        ),
        "cpu": (
            Space("solve", {"n": (2, 2000), "rhs": [1]}, {F64: 12, F32: 4}),
            Space("solve", {"n": (10, 1000), "rhs": (2, 1000)}, {F64: 5}),
            Space("inverse", {"n": (2, 1000)}, {F64: 7, F32: 3}),
            Space("determinant", {"n": (2, 1500)}, {F64: 5}),
            Space("cholesky", {"n": (2, 2000)}, {F64: 8, F32: 3}),
            Space("eigh", {"n": (2, 1000)}, {F64: 12, F32: 4}),
            Space("eigvalsh", {"n": (2, 1000)}, {F64: 6}),
            Space("svd", {"rows": (4, 2000), "cols": (2, 400)}, {F64: 12, F32: 3}),
            Space("qr", {"rows": (4, 3000), "cols": (2, 600)}, {F64: 10, F32: 3}),
            Space("eig", {"n": (2, 400)}, {F64: 8}),
            Space("lstsq", {"rows": (10, 20_000), "cols": (2, 200)}, {F64: 8}),
            Space("batched_solve", {"batch": (10, 10_000), "n": (2, 100)}, {F64: 10}),
            Space("batched_eigh", {"batch": (10, 2000), "n": (2, 60)}, {F64: 8}),
        ),
    }
    limits = frozenset({Limit.PRODUCTS})
    # eigenvalues and singular values go through the matrix vector by vector, and small matrices
    # are calls: no rate of products tells theirs
    kin = {**dict.fromkeys(_EIGEN, "eigenvalues"), **dict.fromkeys(_STACKS, "small_matrices")}
    kin_limits = {
        "eigenvalues": frozenset({Limit.STEPPING}),
        "small_matrices": frozenset({Limit.STEPPING}),
    }

    def principal_size(self, case: str, params: Mapping[str, Count]) -> Count:
        if "rows" in params:
            return params["rows"] * params["cols"]
        return params["n"] * params["n"] * (params["batch"] if case in _STACKS else 1)

    def grid(self, suite: str, backend: str, device: str) -> Iterator[GridPoint]:
        """By size, so that the last point of each case is its largest."""
        if (backend, device) not in self.support:
            return
        if suite == "quick":
            if backend == "numpy":
                yield from points("solve", _squares("solve", (300,)), [F64], ("hot",))
            return
        grid = _cpu_grid(suite, backend) if device == "cpu" else _cuda_grid(suite, backend)
        yield from sorted(grid, key=lambda point: self.size(point.case, dict(point.params)))

    def operation_work(
        self, case: str, params: Mapping[str, Count], dtype: str, backend: str
    ) -> Work[Count]:
        """FLOP of the usual algorithms; operands read once, results written once.

        solve 2/3 n^3 + 2 n^2 for each right-hand side, inverse 2 n^3, determinant 2/3 n^3,
        Cholesky n^3/3, QR of m x n with m >= n twice 2 m n^2 - 2/3 n^3, as Q is formed (Golub
        and Van Loan 2013, "Matrix Computations", chapters 3 to 5). Symmetric eigenvalues
        4/3 n^3, with vectors 9 n^3; any matrix's 25 n^3 (8.3 and 7.5 there). Singular values
        with thin vectors the less of 14 m n^2 + 8 n^3 and, by QR first, 6 m n^2 + 20 n^3, least
        squares by them 4 m n^2 + 8 n^3 or 2 m n^2 + 11 n^3 (5.5 and 8.6 there). torch solves
        least squares by QR: 2 m n^2 - 2/3 n^3.
        """
        item = ITEM_BYTES[dtype]
        read, written = (1.0 * item * count for count in _elements(case, params))
        calls = _CALLS.get(case, 1) if backend == "numpy" else _KERNELS[case]
        flop = 1.0 * _flop(case, params, backend)
        return Work(flop, read, written, read, written, calls)

    def operation_memory(
        self, case: str, params: Params, dtype: str, backend: str, device: str
    ) -> JobMemory:
        """Operands, results and the copy of the matrix that is overwritten.

        LAPACK's workspaces are less than three matrices: 2 n^2 for symmetric eigenvectors by
        divide and conquer (syevd), 3 n^2 for singular vectors (gesdd), a few rows elsewhere;
        cuSOLVER tells its own at run time.
        """
        own = super().operation_memory(case, params, dtype, backend, device).bytes
        matrix = 1.0 * self.principal_size(case, params) * ITEM_BYTES[dtype]
        return JobMemory(own + matrix, own + 4.0 * matrix)

    def shape(self, asked: Question, params: Mapping[str, Floats]) -> Shape:
        """A decomposition as a product of its dimensions, with what goes through memory again.

        Reducing a matrix to a few diagonals takes its vectors one by one: symmetric ones read
        half of what is left of it for each column, others all of it twice. Stacks take a call
        for each matrix on a CPU; on a GPU the columns of a matrix wait for each other.
        """
        case, numpy = asked.case, asked.backend == "numpy"
        batch, long, short = _dimensions(params)
        read, written = _elements(case, params)
        passes = 1.0 + _read_again(case, long, short) / (read + written)
        distinct = long * short * batch / (read + written)
        stack = case in _STACKS
        if asked.device == "cuda":
            wait = _STACK_WAIT if stack else _EIGEN_WAIT if case in _EIGEN else _COLUMN_WAIT
            width = _flop(case, params, asked.backend) / short / wait
            return Shape(width=width, passes=passes, distinct=distinct)
        widened = 2.0 if numpy and asked.dtype == "float32" else 1.0
        result = written * ITEM_BYTES[asked.dtype]
        return Shape(
            width=short * np.sqrt(long),
            depth=np.inf if stack else short + (_BLOCK if "rows" in params else 0.0),
            serial=widened * (1.0 + _VECTORS / short if stack else 1.0),
            steps=widened * _steps(case, batch, long, short),
            passes=widened * passes,
            distinct=distinct,
            fresh=widened * result,
            block=widened * result,
        )

    def inputs(self, case: str, params: Params, dtype: str, seed: int) -> Arrays:
        """Well-conditioned matrices; symmetric ones and determinants have known values."""
        if case in _SYMMETRIC:
            return (_SYMMETRIC[case](params, dtype, seed),)
        if case == "determinant":
            return (matrices.rank_one_more(params["n"], dtype, seed),)
        if case in ("svd", "qr"):
            return (uniform((params["rows"], params["cols"]), dtype, seed),)
        if case == "eig":
            return (uniform((params["n"], params["n"]), dtype, seed),)
        if case == "lstsq":
            shape = (params["rows"], params["cols"])
            return matrices.near_identity(shape, dtype, seed), uniform(shape[0], dtype, seed + 1)
        n = params["n"]
        lead = (params["batch"],) if case == "batched_solve" else ()
        a = matrices.near_identity((*lead, n, n), dtype, seed)
        if case == "inverse":
            return (a,)
        several = (params["rhs"],) if case == "solve" and params["rhs"] > 1 else ()
        return a, uniform((*lead, n, *several), dtype, seed + 1)

    def build(self, backend: Backend, case: str, params: Params, dtype: str) -> Function:
        """The function of the library's ``linalg``; a stack of vectors is one of narrow matrices.

        NumPy 2 takes a second operand of one dimension only for a vector.
        """
        linalg = backend.module.linalg
        if case == "svd":
            return lambda a: linalg.svd(a, full_matrices=False)
        if case == "lstsq":
            options = {} if backend.name == "torch" else {"rcond": None}
            return lambda a, b: linalg.lstsq(a, b, **options)[0]
        if case == "batched_solve":
            return lambda a, b: linalg.solve(a, b[..., None])[..., 0]
        name = _FUNCTIONS.get(case, case)
        function: Function = getattr(linalg, name)
        return function

    def reference(self, inputs: Arrays, case: str, params: Params, dtype: str) -> Any:
        """The operands: a result is checked by what it does to them."""
        return inputs

    def fetch(self, backend: Backend, output: Any) -> Any:
        parts = output if isinstance(output, tuple) else (output,)
        return tuple(backend.to_numpy(part) for part in parts)

    def check(
        self,
        reference: Any,
        output: Any,
        case: str,
        params: Params,
        dtype: str,
        math_mode: str,
    ) -> Check:
        """Relative residuals (``_matrices``), of orthogonal factors and known values as well.

        Tolerance 4 n u: backward stable algorithms stay below a small multiple of n u (Higham,
        Accuracy and Stability of Numerical Algorithms, chapters 9, 10 and 19). n counts as 32 at
        least: cuSOLVER's Jacobi sweeps leave more.
        """
        if tuple(part.shape for part in output) != _shapes(case, self.complete(case, params)):
            return Check(math.inf, 0.0)
        error = _ERRORS[case](reference, output)
        longest = max(params.get("n", 0), params.get("rows", 0), params.get("cols", 0), 32)
        return Check(error, 4 * longest * UNIT_ROUNDOFF[dtype])


#: case -> the library's function, where its name is another
_FUNCTIONS = {"inverse": "inv", "determinant": "det", "batched_eigh": "eigh"}

_SYMMETRIC: dict[str, Callable[[Params, str, int], np.ndarray[Any, Any]]] = {
    "cholesky": lambda p, dtype, seed: matrices.symmetric(p["n"], dtype, seed, shift=1.5),
    "eigh": lambda p, dtype, seed: matrices.symmetric(p["n"], dtype, seed),
    "eigvalsh": lambda p, dtype, seed: matrices.symmetric(p["n"], dtype, seed),
    "batched_eigh": lambda p, dtype, seed: matrices.symmetric_stack(
        p["batch"], p["n"], dtype, seed
    ),
}


def _columns(vectors: np.ndarray[Any, Any], n: int) -> np.ndarray[Any, Any]:
    """One vector or several, (n,) or (n, r), as a matrix."""
    return vectors.reshape(n, -1)


#: case -> error of a result (a tuple of arrays) for its operands
_ERRORS: dict[str, Callable[[Arrays, Arrays], float]] = {
    "solve": lambda given, found: matrices.solution_error(
        given[0], _columns(found[0], len(given[0])), _columns(given[1], len(given[0]))
    ),
    "inverse": lambda given, found: matrices.inverse_error(given[0], found[0]),
    "determinant": lambda given, found: abs(
        float(found[0]) / matrices.determinant_of_rank_one_more(len(given[0])) - 1.0
    ),
    "cholesky": lambda given, found: matrices.cholesky_error(given[0], found[0]),
    "eigh": lambda given, found: matrices.worst(
        [
            matrices.eigenvector_error(given[0], found[0], found[1]),
            matrices.eigenvalue_error(len(given[0]), found[0]),
        ]
    ),
    "eigvalsh": lambda given, found: matrices.eigenvalue_error(len(given[0]), found[0]),
    "svd": lambda given, found: matrices.svd_error(given[0], *found),
    "qr": lambda given, found: matrices.qr_error(given[0], *found),
    "eig": lambda given, found: matrices.general_eigenvector_error(given[0], *found),
    "lstsq": lambda given, found: matrices.least_squares_error(given[0], found[0], given[1]),
    "batched_solve": lambda given, found: matrices.solution_error(
        given[0], found[0][..., None], given[1][..., None]
    ),
    "batched_eigh": lambda given, found: matrices.eigenvector_error(given[0], *found),
}


def _dimensions(params: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """Matrices, their longer and their shorter side."""
    rows = 1.0 * params.get("rows", params.get("n"))
    cols = 1.0 * params.get("cols", params.get("n"))
    return params.get("batch", 1), np.maximum(rows, cols), np.minimum(rows, cols)


def _flop(case: str, params: Mapping[str, Any], backend: str) -> Any:
    batch, m, n = _dimensions(params)
    cube = n * n * n
    if case in ("solve", "batched_solve"):
        return batch * (2.0 / 3.0 * cube + 2.0 * n * n * params.get("rhs", 1))
    if case == "svd":
        return np.minimum(14.0 * m * n * n + 8.0 * cube, 6.0 * m * n * n + 20.0 * cube)
    if case == "lstsq" and backend != "torch":
        return np.minimum(4.0 * m * n * n + 8.0 * cube, 2.0 * m * n * n + 11.0 * cube)
    if case in ("lstsq", "qr"):
        return (2.0 * m * n * n - 2.0 / 3.0 * cube) * (2.0 if case == "qr" else 1.0)
    return batch * _CUBES[case] * cube


#: case -> FLOP of n x n matrices over n^3
_CUBES = {
    **{"inverse": 2.0, "determinant": 2.0 / 3.0, "cholesky": 1.0 / 3.0},
    **{"eigh": 9.0, "batched_eigh": 9.0, "eigvalsh": 4.0 / 3.0, "eig": 25.0},
}


def _read_again(case: str, long: Any, short: Any) -> Any:
    """Elements that a reduction to few diagonals reads again, vector by vector.

    Of n columns one after the other n^3 / 3 elements are left in all. A tall matrix is made
    square by QR first.
    """
    left = short * short * short / 3.0
    if case in ("eigh", "eigvalsh"):
        return left / 2.0
    return 2.0 * left if case in ("svd", "lstsq", "eig") else 0.0 * left


def _steps(case: str, batch: Any, long: Any, short: Any) -> Any:
    if case in _STACKS:
        return _CALL_STEPS * batch
    return _LSTSQ_STEPS * long * short if case == "lstsq" else 0.0


def _elements(case: str, params: Mapping[str, Any]) -> tuple[Any, Any]:
    """Elements of all operands, and of all results."""
    if "rows" in params:
        m, n = params["rows"], params["cols"]
        matrix, short = m * n, np.minimum(1.0 * m, 1.0 * n)
        if case == "svd":
            return matrix, (m + n + 1.0) * short
        if case == "qr":
            return matrix, (m + n) * short
        return matrix + m, n
    n, batch = params["n"], params.get("batch", 1)
    square = n * n * batch
    vectors = n * batch * params.get("rhs", 1)
    return {
        "solve": (square + vectors, vectors),
        "batched_solve": (square + vectors, vectors),
        "inverse": (square, square),
        "determinant": (square, n // n),
        "cholesky": (square, square),
        "eigh": (square, square + vectors),
        "batched_eigh": (square, square + vectors),
        "eigvalsh": (square, vectors),
        "eig": (square, 2 * (square + vectors)),
    }[case]


def _shapes(case: str, params: Params) -> tuple[tuple[int, ...], ...]:
    """Shapes of the results."""
    if "rows" in params:
        m, n = params["rows"], params["cols"]
        k = min(m, n)
        return {"svd": ((m, k), (k,), (k, n)), "qr": ((m, k), (k, n)), "lstsq": ((n,),)}[case]
    n = params["n"]
    lead: tuple[int, ...] = (params["batch"],) if "batch" in params else ()
    vector, square = (*lead, n), (*lead, n, n)
    if case == "solve" and params["rhs"] > 1:
        return ((n, params["rhs"]),)
    if case in ("inverse", "cholesky"):
        return (square,)
    if case in ("eigh", "batched_eigh", "eig"):
        return vector, square
    return ((),) if case == "determinant" else (vector,)


def _squares(case: str, values: tuple[int, ...]) -> list[dict[str, int]]:
    """Parameter sets of square matrices; systems with one right-hand side."""
    return [{"n": n, "rhs": 1} if case == "solve" else {"n": n} for n in values]


def _pairs(case: str, pairs: tuple[tuple[int, int], ...]) -> list[dict[str, int]]:
    names = ("batch", "n") if case in _STACKS else ("rows", "cols")
    return [dict(zip(names, pair, strict=True)) for pair in pairs]


def _cpu_grid(suite: str, backend: str) -> Iterator[GridPoint]:
    hot = ("hot",)
    if backend == "torch":
        for case, chosen in _TORCH_CPU.items():
            yield from points(case, _squares(case, chosen), [F64], hot)
        return
    for case, chosen in _CPU_SIZES.items():
        yield from points(case, _squares(case, chosen), [F64], hot)
    yield from points("solve", [{"n": 500, "rhs": 100}], [F64], hot)
    for case, pairs in (*_CPU_SHAPES.items(), *_CPU_STACKS.items()):
        yield from points(case, _pairs(case, pairs), [F64], hot)
    yield from points("solve", _squares("solve", (10, 500)), [F32], hot)
    yield from points("eigh", sizes("n", (200,)), [F32], hot)
    if suite == "full":
        for case in _CPU_SIZES:
            yield from points(case, _squares(case, _FULL), [F64], hot)
            yield from points(case, _squares(case, (150,)), [F32], hot)
        yield from points("svd", _pairs("svd", _FULL_SHAPES), [F64], hot)


def _cuda_grid(suite: str, backend: str) -> Iterator[GridPoint]:
    hot = ("hot",)
    if backend == "torch":
        for case, chosen in _TORCH_CUDA.items():
            yield from points(case, _squares(case, chosen), [F64], hot)
        return
    for case, chosen in _CUDA_SIZES.items():
        for index, n in enumerate(chosen):
            modes: tuple[str, ...] = ("hot", "resident") if index == 1 else hot
            modes += ("end_to_end",) if index == 1 and case in ("solve", "eigh") else ()
            yield from points(case, _squares(case, (n,)), [F64], modes)
    yield from points("solve", [{"n": 500, "rhs": 100}], [F64], hot)
    for case, pairs in (*_CUDA_SHAPES.items(), *_CUDA_STACKS.items()):
        yield from points(case, _pairs(case, pairs), [F64], hot)
    yield from points("solve", _squares("solve", (1000,)), [F32], hot)
    yield from points("eigh", sizes("n", (300,)), [F32], hot)
    if suite == "full":
        for case in _CUDA_SIZES:
            yield from points(case, _squares(case, _FULL), [F64], hot)
            yield from points(case, _squares(case, (150,)), [F32], hot)
        yield from points("svd", _pairs("svd", _FULL_SHAPES), [F64], hot)
