"""Small NumPy programs in different styles; each prints numbers to the last bit."""

from __future__ import annotations

STENCIL = """
    import numpy as np
    u = np.zeros((40, 40)); u[0] = 1.0; u[:, -1] = 0.5
    for step in range(50):
        u[1:-1, 1:-1] = 0.25 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:])
        if step % 10 == 0:
            print(step, float(u.sum()).hex(), u.max(), u.dtype, u.shape)
    print(u[20])
"""

MONTE_CARLO = """
    import numpy as np
    from numpy.random import default_rng
    rng = default_rng(7)
    np.random.seed(3)
    points = rng.random((10_000, 2))
    inside = (points ** 2).sum(axis=1) <= 1.0
    print(4.0 * np.mean(inside), np.count_nonzero(inside), points[inside].mean().hex())
    walk = np.cumsum(np.random.choice([-1, 1], size=1000))
    print(walk.min(), walk.argmax(), np.random.rand(), rng.normal(size=3), rng.integers(0, 9, 5))
    rng.shuffle(points)
    print(points[0], rng.permutation(5), np.random.RandomState(4).standard_normal(2))
"""

DECOMPOSITION = """
    import numpy as np
    import numpy.linalg as la
    a = np.arange(400.0).reshape(20, 20) % 7 + np.eye(20) * 9
    s = a + a.T
    values, vectors = la.eigh(s)
    result = np.linalg.svd(a, full_matrices=False)
    print(type(result).__name__, result.S[:3], np.linalg.eigh(s).eigenvalues[-1])
    print(la.norm(s @ vectors - vectors * values) < 1e-9, la.det(a), la.solve(a, np.ones(20))[:3])
    print(np.linalg.cond(a), la.inv(a)[0, :3], np.linalg.lstsq(a, np.ones(20), rcond=None)[2])
    try:
        la.cholesky(-s)
    except la.LinAlgError as error:
        print("refused:", error)
"""

TRANSFORM = """
    import numpy as np
    from numpy.fft import rfft2, irfft2, fftfreq
    n = 32
    x = np.linspace(0, 2 * np.pi, n, endpoint=False)
    field = np.sin(x)[:, None] * np.cos(2 * x)[None, :]
    k = fftfreq(n, 1 / n)
    spectrum = rfft2(field)
    spectrum *= 1j * k[:, None]
    back = irfft2(spectrum, s=(n, n))
    print(back[1, :3], np.abs(np.fft.fft(x)).max(), np.allclose(back, back), back.real is back)
"""

CLUSTERS = """
    import numpy as np
    rng = np.random.default_rng(0)
    x = np.vstack([rng.normal(c, 0.3, (50, 2)) for c in ((0, 0), (3, 3), (0, 3))])
    centers = x[rng.choice(len(x), 3, replace=False)]
    while True:
        near = ((x[:, None] - centers) ** 2).sum(-1).argmin(1)
        moved = np.array([x[near == k].mean(axis=0) for k in range(3)])
        if np.allclose(moved, centers):
            break
        centers = moved
    print(centers, np.bincount(near), sorted(near)[:3], [int(n) for n in np.unique(near)])
"""

STAR = """
    from numpy import *
    from numpy.linalg import *
    a = array([[2.0, 1.0], [1.0, 3.0]])
    b = zeros(2); b[:] = 1, 2
    x = solve(a, b)
    print(x, dot(a, x), norm(x), sin(pi / 2), isinstance(x, ndarray), type(x), type(x) == ndarray)
    print(inner(x, x), exp(x).tolist(), maximum.accumulate(array([1, 3, 2])), float64(3), sum([1, 2]))
"""

IN_PLACE = """
    import copy, pickle
    import numpy as np
    a = np.arange(12.0)
    b = a
    a += 1
    a *= a
    np.sqrt(a, out=a)
    np.add.at(a, [0, 0, 3], 10)
    a[a > 5] = -1
    a[[1, 2]] = [7, 8]
    v = a.reshape(3, 4).T
    v[0] -= 100
    c = copy.deepcopy(a)
    c.sort()
    d = pickle.loads(pickle.dumps(a))
    print(b is a, a, v.base is not None, np.shares_memory(a, v), c, d, (d == a).all(), v.flags)
    d.shape = 4, 3
    print(d.T.ravel(), np.clip(d, 0, 1).sum(), d.astype(np.float32).dtype, repr(d[0]), f"{d[0, 0]:.2f}")
    np.copyto(d, 5); d.fill(2); np.put(d, 0, 1); print(d, bool(d.any()), hash(d.tobytes()) == 0)
"""

CLASSES = """
    import argparse
    import numpy as np

    class Layer:
        activation = staticmethod(np.tanh)

        def __init__(self, rng, m, n):
            self.w, self.b = rng.standard_normal((m, n)) / np.sqrt(m), np.zeros(n)

        def __call__(self, x):
            return self.activation(x @ self.w + self.b)

    def main():
        parser = argparse.ArgumentParser()
        parser.add_argument("--depth", type=int, default=3)
        depth = parser.parse_args().depth
        rng = np.random.Generator(np.random.PCG64(1))
        x = np.ones((4, 8))
        for layer in [Layer(rng, 8, 8) for _ in range(depth)]:
            x = layer(x)
        print(x.sum(), x[0], isinstance(rng, np.random.Generator), np.add.reduce(x)[:2])

    if __name__ == "__main__":
        main()
"""

OPTIMIZE = """
    import numpy as np
    from scipy import optimize, special, ndimage, stats
    from scipy.integrate import odeint, solve_ivp
    import scipy.linalg
    target = np.arange(5.0)
    def cost(x):
        return np.sum((x - target) ** 2) + np.sum(np.cos(x))
    found = optimize.minimize(cost, np.zeros(5), method="BFGS")
    print(found.x, found.fun, found.nfev, type(found.x))
    print(optimize.curve_fit(lambda t, a, b: a * np.exp(-b * t), target, np.exp(-target))[0])
    print(odeint(lambda y, t: -y, [1.0, 2.0], np.linspace(0, 1, 5))[-1])
    print(solve_ivp(lambda t, y: np.array([y[1], -y[0]]), (0, 1), [0.0, 1.0]).y[:, -1])
    print(special.erf(target), scipy.linalg.expm(np.eye(2)), stats.norm.cdf(target)[1])
    print(ndimage.gaussian_filter(np.eye(8), 1.0)[0, :2], scipy.linalg.lu_factor(np.eye(2))[1])
    print(stats.norm(0, 1).rvs(2, random_state=np.random.default_rng(3)))
"""

ODDS = """
    import functools, json, math, operator
    import numpy as np
    a = np.array([3, 1, 2])
    print(a[np.argmax(a)], range(int(a.max())), [1, 2, 3, 4][a[0]], math.sqrt(np.dot(a, a)), -a)
    print(np.vectorize(lambda x: x + 1)(a), np.apply_along_axis(sum, 0, a), np.r_[a, 5], np.mgrid[:2])
    print(functools.reduce(np.add, [a, a, a]), list(map(np.sin, a))[0], max(a), sum(a), 3 in a)
    print(np.array(["x", "yy"]) == "x", np.array([1, None]), np.datetime64("2020-01-01"), a.astype(str))
    print(json.dumps(a.tolist()), np.array2string(a), np.einsum("i,i->", a, a), a.mean().dtype)
    print(np.ma.masked_equal(a, 3).sum(), np.matrix([[1, 2]]) * np.matrix([[3], [4]]), np.poly1d(a)(2))
    x, y, z = a; first, *rest = a
    print(x + y, rest, np.float64(1) / 3, np.divmod(a, 2), np.frexp(2.5), np.add.outer(a, a)[0])
    s = np.zeros(2, dtype=[("p", float), ("q", int)]); s["p"] = 1.5; print(s, s["p"].sum(), s[0])
    with np.errstate(divide="ignore"):
        print(1.0 / np.zeros(2), np.nan_to_num(np.array([np.nan])), np.broadcast_to(a, (2, 3)).strides)
    np.testing.assert_allclose(a, a); print(operator.add(a, 1), np.int64(3) + a, a.size and a.ndim)
    b = np.arange(6).reshape(2, 3)
    for row in b: print(row, row.sum())
    print([int(v) for v in b.flat], {np.ndarray: "array"}[type(b)], np.split(b, 2)[0], b.T.copy().flags.f_contiguous)
"""

BY_NAME = {
    **{"stencil": STENCIL, "monte carlo": MONTE_CARLO, "decomposition": DECOMPOSITION},
    **{"transform": TRANSFORM, "clusters": CLUSTERS, "star": STAR, "in place": IN_PLACE},
    **{"classes": CLASSES, "optimize": OPTIMIZE, "odds": ODDS},
}
