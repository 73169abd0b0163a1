import numpy as np
from scipy.optimize import least_squares

from estimator.cells.work import KernelWork, tilings
from estimator.fitting.solver import Problems, solve
from estimator.formula.kernel import KERNEL_PARAMETERS, kernel_log_seconds

COUNT = len(KERNEL_PARAMETERS)
TRUTH = {
    "call_s": 1e-12,
    "launch_s": 2e-6,
    "dispatch_s": 5e-6,
    "compute_flop_per_s": 5e10,
    "width_half": 500.0,
    "tile_half": 20.0,
    "depth_half": 30.0,
    "memory_bytes_per_s": 1e10,
    "cache_gain": 4.0,
    "cache_bytes": 3e7,
    "inner_cache_gain": 2.0,
    "inner_cache_bytes": 1e6,
    "cache_steepness": 8.0,
    "fault_bytes_per_s": 4e9,
    "fault_block_bytes": 3e7,
    "exponent_p": 2.0,
    "awkward_factor": 1.5,
    "overlap_q": 1.5,
    "algorithm_factor": 0.7,
    "area_half": 1000.0,
}
AT_LEAST_1 = [
    KERNEL_PARAMETERS.index(name)
    for name in ("overlap_q", "cache_gain", "inner_cache_gain", "cache_steepness", "exponent_p")
]


def matmul_problems(groups=12, rows=7, noise=0.05, seed=3):
    """Groups of square products with different parameters, and one wild row in each."""
    generator = np.random.default_rng(seed)
    n = np.geomspace(32, 4096, rows)
    every = np.tile(n, groups)
    work = KernelWork(
        flop=2 * every**3,
        bytes=24 * every**2,
        footprint=24 * every**2,
        fresh=np.zeros(len(every)),
        block=np.zeros(len(every)),
        forks=np.zeros(len(every)),
        added=np.zeros(len(every)),
        share_floor=np.zeros(len(every)),
        awkward_memory=np.zeros(len(every)),
        special=np.zeros(len(every)),
        product=np.full((len(every), 3), -1),
        part=np.zeros((len(every), 3)),
        byte_unit=np.ones(len(every)),
        tilings=tilings(np.ones((0, 9)), np.ones(0)),
        launches=np.ones(len(every)),
        width=every**2,
        depth=every,
        awkward=(np.arange(len(every)) % 2).astype(float),
    )
    truth = np.log([TRUTH[name] for name in KERNEL_PARAMETERS])
    truth = truth + generator.normal(0, 0.4, (groups, COUNT))
    truth[:, AT_LEAST_1] = np.abs(truth[:, AT_LEAST_1])
    group = np.repeat(np.arange(groups), rows)
    log_seconds = kernel_log_seconds(truth[group], work)[0]
    log_seconds += generator.normal(0, noise, len(group))
    log_seconds[::rows] += 1.0
    centre = truth + generator.normal(0, 0.3, truth.shape)
    low, high = np.full_like(centre, -40.0), np.full_like(centre, 60.0)
    low[:, AT_LEAST_1] = 0.0
    return Problems(
        work,
        log_seconds,
        np.full(len(group), noise),
        group,
        np.clip(centre, low, high),
        np.full_like(centre, 0.7),
        low,
        high,
    )


def objective(problems, group):
    """The same problem for SciPy: residuals whose soft_l1 loss is the rows' part."""
    chosen = np.flatnonzero(problems.group == group)
    work, target = problems.rows.take(chosen), problems.log_seconds[chosen]

    def data(theta):
        tiled = np.tile(theta, (len(chosen), 1))
        return (kernel_log_seconds(tiled, work)[0] - target) / problems.sigma[chosen]

    def cost(theta):
        pull = (theta - problems.centre[group]) / problems.spread[group]
        return 2.0 * (np.sqrt(1.0 + data(theta) ** 2) - 1.0).sum() + (pull**2).sum()

    def residuals(theta):
        """Square roots of the terms, so that plain least squares has the same optimum."""
        rows = np.sqrt(2.0 * (np.sqrt(1.0 + data(theta) ** 2) - 1.0)) * np.sign(data(theta))
        return np.append(rows, (theta - problems.centre[group]) / problems.spread[group])

    return cost, residuals


def test_its_solutions_are_as_good_as_scipys():
    problems = matmul_problems()
    solution = solve(problems, kernel_log_seconds, problems.centre)
    for group in range(len(problems.centre)):
        cost, residuals = objective(problems, group)
        inner = 1e-9
        bounds = (problems.low[group] - inner, problems.high[group] + inner)
        peer = least_squares(residuals, problems.centre[group], bounds=bounds)
        ours = cost(solution.theta[group])
        assert ours <= cost(peer.x) * 1.01 + 0.01
        assert np.isclose(ours, solution.cost[group])


def test_a_group_is_solved_the_same_alone_and_in_company():
    problems = matmul_problems(groups=6)
    together = solve(problems, kernel_log_seconds, problems.centre)
    chosen = problems.group == 4
    alone = Problems(
        problems.rows.take(chosen),
        problems.log_seconds[chosen],
        problems.sigma[chosen],
        np.zeros(chosen.sum(), dtype=np.intp),
        problems.centre[4:5],
        problems.spread[4:5],
        problems.low[4:5],
        problems.high[4:5],
    )
    by_itself = solve(alone, kernel_log_seconds, alone.centre)
    assert np.allclose(by_itself.theta[0], together.theta[4], atol=1e-6)


def test_parameters_stay_within_their_bounds():
    problems = matmul_problems()
    solution = solve(problems, kernel_log_seconds, problems.centre)
    assert (solution.theta >= problems.low).all()
    assert (solution.theta <= problems.high).all()


def test_a_parameter_that_no_row_reads_stays_at_its_prior():
    problems = matmul_problems()
    idle = KernelWork(**{**vars(problems.rows), "awkward": np.zeros(len(problems.group))})
    problems = Problems(idle, *list(vars(problems).values())[1:])
    solution = solve(problems, kernel_log_seconds, problems.centre)
    assert np.allclose(solution.theta[:, -1], problems.centre[:, -1], atol=1e-6)
    assert np.allclose(solution.variance[:, -1], problems.spread[:, -1] ** 2, rtol=1e-6)


def test_one_wild_row_does_not_carry_the_fit_away():
    clean, wild = matmul_problems(groups=1, rows=14), matmul_problems(groups=1, rows=14)
    clean.log_seconds[0] -= 1.0
    predicted = [
        kernel_log_seconds(
            np.tile(solve(p, kernel_log_seconds, p.centre).theta[0], (14, 1)), p.rows
        )[0]
        for p in (clean, wild)
    ]
    assert np.abs(predicted[0] - predicted[1])[3:].max() < 0.05
