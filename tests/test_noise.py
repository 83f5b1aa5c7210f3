"""What data cost with other noise: derivatives, densities, estimates, verdicts, refusals."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import mpmath
import noisy
import numpy as np
import pytest
import scipy.optimize
import scipy.stats

import symda as sd
from symda.build.kernels import virtual_kernels
from symda.declare import DISTRIBUTIONS
from symda.declare.noise import NoiseNumbers, cost_of
from symda.derive.special import log_gamma, log_ndtr, log_rise
from symda.derive.step import derive_step

VIRTUAL = pytest.mark.usefixtures("uncompiled")


@pytest.fixture(scope="module")
def both():
    """Compiled and virtual kernels of the model with all kinds of noise, with data."""
    action = noisy.action()
    problem = action.bind(noisy.data())
    virtual = virtual_kernels(derive_step(action.field, action.scheme), action.emitted)
    return action.compile().machine.at(problem), virtual.at(problem), problem


def _point(problem, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(0.5, 2.0, (problem.M, problem.D)), rng.uniform(0.4, 1.5, problem.P)


def test_compiled_and_virtual_kernels_agree(both):
    compiled, virtual, problem = both
    X, theta = _point(problem)
    assert compiled.action(X, theta, 3.0) == pytest.approx(virtual.action(X, theta, 3.0), rel=1e-14)
    assert np.allclose(
        compiled.gradient(X, theta, 3.0), virtual.gradient(X, theta, 3.0), rtol=1e-12
    )
    a, b = (at.hessian(X, theta, 3.0).toarray() for at in (compiled, virtual))
    assert np.allclose(a, b, rtol=1e-11, atol=1e-11)
    packed = compiled.packed
    a, b = (
        at.kernels.engine.point_gauss_newton(packed.row_states(X), theta, packed.points)
        for at in (compiled, virtual)
    )
    assert np.allclose(a, b, rtol=1e-12, atol=1e-12)


def test_taylor_slopes(both):
    """Remainders of order 2 and 3 along a direction, after gradient and Hessian."""
    at, _, problem = both
    X, theta = _point(problem, 3)
    x = problem.unknowns.join(X, theta)
    d = np.random.default_rng(1).standard_normal(x.size)

    def value(z):
        return at.action(*problem.unknowns.split(z), 3.0)

    slope = at.gradient(X, theta, 3.0) @ d
    bend = d @ (at.hessian(X, theta, 3.0) @ d)
    steps = 1e-3 * 0.5 ** np.arange(5)
    first = np.abs([value(x + h * d) - value(x) - h * slope for h in steps])
    second = np.abs([value(x + h * d) - value(x) - h * slope - h**2 / 2 * bend for h in steps])
    assert np.log2(first[:-1] / first[1:]) == pytest.approx(2.0, abs=0.1)
    assert np.log2(second[:-1] / second[1:]) == pytest.approx(3.0, abs=0.15)


def test_the_sum_of_the_costs_is_sympys(both):
    """Each datum's cost as SymPy writes it, repeats included, evaluated by another program."""
    at, _, problem = both
    X, theta = _point(problem, 5)
    eta, (y, rm) = at.predictors(X, theta), np.split(at.packed.points, 2, axis=1)
    measurement = noisy.action().measurement
    total = 0.0
    for l, (noise, own) in enumerate(zip(measurement.noises, measurement.places, strict=True)):
        seen = rm[:, l] > 0.0
        values = {name: eta[seen, k] for name, k in own.items()}
        total += cost_of(noise, values, y[seen, l], rm[seen, l]).sum()
    assert problem.data_count > np.count_nonzero(problem.rm)
    assert at.terms(X, theta, 3.0)[0] == pytest.approx(total, rel=1e-13)


SCIPY = [
    (sd.Normal(2.0, noisy.s), lambda s: scipy.stats.norm(2.0, s), True),
    (sd.StudentT(4, 2.0, noisy.s), lambda s: scipy.stats.t(4, 2.0, s), True),
    (sd.StudentT(noisy.s, 2.0, 0.7), lambda s: scipy.stats.t(s, 2.0, 0.7), False),
    (sd.LogNormal(0.3, noisy.s), lambda s: scipy.stats.lognorm(s, scale=np.exp(0.3)), True),
    (sd.Gamma(noisy.s, 1.5), lambda s: scipy.stats.gamma(s, scale=1.5), True),
    (sd.Gamma(2.5, noisy.s), lambda s: scipy.stats.gamma(2.5, scale=s), True),
    (sd.HalfNormal(noisy.s), lambda s: scipy.stats.halfnorm(scale=s), True),
    (sd.Poisson(noisy.s), scipy.stats.poisson, True),
    (sd.NegativeBinomial(noisy.s, 2.0), lambda m: scipy.stats.nbinom(2.0, 2.0 / (2.0 + m)), True),
    (sd.NegativeBinomial(3.0, noisy.s), lambda n: scipy.stats.nbinom(n, n / (n + 3.0)), True),
    (sd.Binomial(9, noisy.s / 4), lambda p: scipy.stats.binom(9, p / 4), True),
]


@pytest.mark.parametrize(("noise", "law", "whole"), SCIPY, ids=[str(row[0]) for row in SCIPY])
def test_costs_are_minus_scipys_logarithms(noise, law, whole):
    """All of -log p where it is estimated, or what of it an estimated argument changes."""
    y = np.arange(1.0, 8.0)
    got, wanted = [], []
    for value in (0.6, 1.7):
        terms = {
            name: np.full(y.shape, float(e.subs(noisy.s, value))) for name, e in noise.terms.items()
        }
        frozen = law(value)
        log = frozen.logpmf if noise.counts else frozen.logpdf
        got.append(cost_of(noise, terms, y, np.ones_like(y)))
        wanted.append(-log(y))
        assert noise.frozen(terms, np.ones_like(y)).cdf(y) == pytest.approx(
            frozen.cdf(y), rel=1e-12
        )
    if whole:
        assert got[0] == pytest.approx(wanted[0], rel=1e-11)
    else:
        scale = np.log(0.7)  # of a fixed scale, left out
        assert got[0] + scale == pytest.approx(wanted[0], rel=1e-11)
    assert got[1] - got[0] == pytest.approx(wanted[1] - wanted[0], rel=1e-10)


def test_hubers_density_is_one_in_all():
    """Its normaliser and its distribution function, by quadrature; its draws, by that."""
    noise = sd.Huber(0.4, noisy.s)

    corners = (0.4 - 1.345 * 0.8, 0.4 + 1.345 * 0.8)
    nodes, weights = np.polynomial.legendre.leggauss(200)

    def below(end):
        """Integral of the density up to `end`, each piece of it by Gauss's formula."""
        ends = [-40.0, *(c for c in corners if c < end), end]
        total = 0.0
        for low, high in pairwise(ends):
            y = low + 0.5 * (high - low) * (1.0 + nodes)
            cost = cost_of(noise, {"scale": np.full(y.shape, 0.8)}, y, np.ones_like(y))
            total += 0.5 * (high - low) * float(weights @ np.exp(-cost))
        return total

    assert below(40.0) == pytest.approx(1.0, abs=1e-9)
    frozen = noise.frozen({"scale": np.array(0.8)}, np.array(1.0))
    for y in (-3.0, 0.1, 0.9, 2.5):
        assert float(frozen.cdf(np.array(y))) == pytest.approx(below(y), abs=1e-9)
    many = noise.frozen({"scale": np.full(20_000, 0.8)}, np.ones(20_000))
    drawn = many.rvs(random_state=np.random.default_rng(0))
    assert scipy.stats.kstest(many.cdf(drawn), "uniform").pvalue > 1e-3


def test_special_functions_have_all_digits():
    """Values and two derivatives against mpmath with 40 digits, tails included."""
    import casadi as ca

    z = ca.SX.sym("z")
    with mpmath.workdps(40):
        cases = [
            (log_gamma, mpmath.loggamma, [1e-8, 0.01, 0.3, 1.0, 5.5, 50.0, 1e6, 1e12]),
            (
                log_ndtr,
                lambda t: mpmath.log(mpmath.erfc(-t / mpmath.sqrt(2)) / 2),
                [-300.0, -40.0, -9.0, -8.8, -5.0, -1.001, -0.99, 0.0, 1.0, 3.0],
            ),
        ]
        for function, wanted, grid in cases:
            f = function(z)
            own = ca.Function("f", [z], [f, ca.jacobian(f, z), ca.hessian(f, z)[0]])
            for t in grid:
                for order, value in enumerate(own(t)):
                    right = mpmath.diff(wanted, mpmath.mpf(t), order)
                    # log Gamma is the difference of numbers of order 10
                    room = 1e-14 * float(abs(right)) + (3e-15 if order == 0 else 0.0)
                    assert abs(float(value) - float(right)) <= room, (function, t, order)


def test_a_rise_has_all_digits_of_a_large_size():
    """Values and two derivatives by k, against the sum of log(1 + i/k) with 60 digits."""
    import casadi as ca

    k = ca.SX.sym("k")
    with mpmath.workdps(60):
        for y in (0, 1, 5, 300):
            f = log_rise(k, ca.SX(float(y)))
            own = ca.Function("f", [k], [f, ca.jacobian(f, k), ca.hessian(f, k)[0]])

            def wanted(t, y=y):
                return mpmath.fsum(mpmath.log(1 + mpmath.mpf(i) / t) for i in range(y))

            for t in (1e-3, 0.5, 10.0, 1e4, 1e9, 1e17):
                for order, value in enumerate(own(t)):
                    right = float(
                        mpmath.diff(wanted, mpmath.mpf(t), order, h=mpmath.mpf(t) / 2**60)
                    )
                    # what is lost is a share of numbers of the size of y, and of their slopes
                    room = 1e-14 * abs(right) + 1e-15 * (10 + 3 * y) / t**order
                    assert abs(float(value) - right) <= room, (y, t, order)


def test_a_negative_binomial_of_large_size_is_poissons():
    y = np.array([0.0, 1.0, 7.0, 298.0])
    rm, mean = np.ones_like(y), np.array([1e-3, 2.0, 5.0, 300.0])
    wanted = cost_of(sd.Poisson(noisy.x), {"mean": mean}, y, rm)
    noise = sd.NegativeBinomial(noisy.x, noisy.s)
    for size in (1e14, 1e17, 1e22):
        found = cost_of(noise, {"mean": mean, "size": np.full(4, size)}, y, rm)
        assert found == pytest.approx(wanted, abs=1e-8)


def test_solvers_meet_in_one_minimum():
    action, data = noisy.action(), noisy.data()
    options = {"paths": 1, "seed": 1, "ladder": sd.Ladder(rf0=1.0, alpha=10.0, rungs=4)}
    runs = {s: sd.anneal(action, data, solver=s, **options) for s in ("newton", "ipopt", "lbfgs")}
    levels = [run.best.action for run in runs.values()]
    assert levels == pytest.approx([levels[0]] * 3, rel=1e-9)
    for name in ("k", "s"):
        values = [run.best.parameters[name] for run in runs.values()]
        assert values == pytest.approx([values[0]] * 3, rel=1e-5)


@VIRTUAL
@pytest.mark.parametrize("solver", ["newton", "ipopt"])
def test_an_estimated_variance_is_the_closed_form(solver):
    """x' = b, so least squares of a straight line: sigma^2 is the mean squared residual."""
    x, b = sd.state("x", start=(-1.0, 1.0)), sd.parameter("b", start=(-1.0, 1.0))
    sigma = sd.parameter("sigma", bounds=(1e-3, 10.0), start=(0.1, 1.0))
    action = sd.Action(sd.Model({x: b}, name="line"), {"y": sd.Normal(x, sigma)}, scheme="euler")
    t = np.linspace(0.0, 3.0, 31)
    y = 0.4 + 0.7 * t + 0.3 * np.random.default_rng(2).standard_normal(t.size)
    fit, residual = np.polyfit(t, y, 1, full=True)[:2]
    run = sd.anneal(
        action, sd.Observations(t, y), paths=1, solver=solver, ladder=sd.Ladder(rf0=1e9, rungs=1)
    )
    wanted = np.sqrt(residual[0] / t.size)
    assert run.best.parameters["b"] == pytest.approx(fit[0], rel=1e-6)
    assert run.best.parameters["sigma"] == pytest.approx(wanted, rel=1e-6)
    least = t.size * (0.5 + np.log(wanted) + 0.5 * np.log(2.0 * np.pi))
    assert run.best.action == pytest.approx(least, rel=1e-7)
    bars = action.posterior(run, sd.Observations(t, y)).sd
    assert bars["sigma"] == pytest.approx(wanted / np.sqrt(2.0 * t.size), rel=1e-4)


@VIRTUAL
def test_student_t_stands_outliers_that_the_gaussian_does_not():
    x, r = sd.state("x", bounds=(-5.0, 50.0)), sd.parameter("r", bounds=(0.0, 3.0))
    model = sd.Model({x: -r * x}, name="decay")
    t = np.linspace(0.0, 2.0, 41)
    rng = np.random.default_rng(4)
    y = 5.0 * np.exp(-0.8 * t) + 0.1 * rng.standard_normal(t.size)
    wrong = rng.choice(t.size, 4, replace=False)
    y[wrong] += 8.0
    off = {}
    for name, noise in {"gauss": x, "t": sd.StudentT(4, x), "huber": sd.Huber(x)}.items():
        run = sd.anneal(
            sd.Action(model, {"y": noise}),
            sd.Observations(t, y, variance=0.01),
            paths=2,
            solver="newton",
            start="nudged",
            ladder=sd.Ladder(rf0=10.0, alpha=10.0, rungs=7),
        )
        off[name] = abs(run.best.parameters["r"] - 0.8)
    assert off["gauss"] > 0.1
    assert off["t"] < 0.03
    assert off["huber"] < 0.1


@VIRTUAL
@pytest.mark.parametrize("solver", ["newton", "lbfgs"])
def test_counts_below_ten_end_where_a_likelihood_does(solver):
    """Poisson counts of an exponential decay, against SciPy's own maximum."""
    x, r = (
        sd.state("x", bounds=(1e-3, 50.0), start=(1.0, 20.0)),
        sd.parameter("r", bounds=(0.0, 5.0)),
    )
    action = sd.Action(sd.Model({x: -r * x}, name="counts"), {"n": sd.Poisson(x)})
    t = np.linspace(0.0, 3.0, 25)
    n = np.random.default_rng(1).poisson(8.0 * np.exp(-0.6 * t)).astype(float)

    def cost(p):
        mean = p[0] * np.exp(-p[1] * t)
        return -scipy.stats.poisson(mean).logpmf(n).sum()

    best = scipy.optimize.minimize(cost, [7.0, 0.5], method="Nelder-Mead", tol=1e-10)
    run = sd.anneal(
        action,
        sd.Observations(t, n),
        paths=2,
        solver=solver,
        ladder=sd.Ladder(rf0=1.0, alpha=10.0, rungs=8),
    )
    assert run.best.measurement_term == pytest.approx(best.fun, abs=1e-4)
    assert run.best.parameters["r"] == pytest.approx(best.x[1], rel=1e-3)
    assert float(run.best.states[0, 0]) == pytest.approx(best.x[0], rel=1e-3)


@VIRTUAL
def test_several_values_of_one_time_are_several_data():
    """Their mean with a variance divided by their number has the same minimum."""
    x, b = sd.state("x", start=(-1.0, 1.0)), sd.parameter("b", start=(-1.0, 1.0))
    action = sd.Action(sd.Model({x: b}, name="line"), [x], scheme="trapezoid")
    t, y = np.array([0.0, 1.0, 1.0, 1.0, 2.0]), np.array([0.1, 0.9, 1.2, 1.5, 1.9])
    ladder = sd.Ladder(rf0=50.0, rungs=1)
    again = sd.anneal(action, sd.Observations(t, y, variance=0.1), paths=1, ladder=ladder)
    mean = sd.Observations([0.0, 1.0, 2.0], [0.1, 1.2, 1.9], variance=[[0.1], [0.1 / 3], [0.1]])
    once = sd.anneal(action, mean, paths=1, ladder=ladder)
    assert again.best.states.values == pytest.approx(once.best.states.values, rel=1e-9)
    scatter = np.sum((y[1:4] - 1.2) ** 2) / 0.2
    assert again.best.action == pytest.approx(once.best.action + scatter, rel=1e-9)
    assert again.dataset.attrs["data_count"] == 5
    assert again.dataset["repeated"].values.ravel().tolist() == [1.2, 1.5]


@VIRTUAL
def test_twins_draw_from_the_noise():
    x = sd.state("x", start=(0.0, 1.0))
    model = sd.Model({x: 0 * x}, name="rest")
    noises = {
        "n": sd.Poisson(3 + 0 * x + x),
        "t": sd.StudentT(4, x, 0.5),
        "c": sd.Censored(sd.Normal(x, 1.0), low=0.5),
    }
    with pytest.raises(sd.ModelError, match="draw"):
        sd.twin(
            sd.Action(model, {"d": sd.Density(lambda y: (y - x) ** 2, location=x)}),
            dt=1.0,
            steps=5,
            seed=0,
        )
    _, data = sd.twin(sd.Action(model, noises), dt=1.0, steps=3000, seed=0, initial={"x": 1.0})
    n, t, c = data.values.T
    assert (
        scipy.stats.chisquare(
            np.bincount(n.astype(int), minlength=13)[:13],
            np.r_[scipy.stats.poisson(4.0).pmf(range(12)), scipy.stats.poisson(4.0).sf(11)]
            * n.size,
            sum_check=False,
        ).pvalue
        > 1e-3
    )
    assert scipy.stats.kstest(t, scipy.stats.t(4, 1.0, 0.5).cdf).pvalue > 1e-3
    assert np.mean(c == 0.5) == pytest.approx(scipy.stats.norm(1.0, 1.0).cdf(0.5), abs=0.03)
    assert np.isnan(data.variance).all()


def test_quantile_residuals_are_normal():
    """Of data drawn at the predictors themselves, for every kind that can be drawn."""
    measurement = noisy.action().measurement
    rng = np.random.default_rng(0)
    count = 600
    eta = np.tile(rng.uniform(0.6, 1.5, (1, len(measurement.predictors))), (count, 1))
    y = np.full((count, len(measurement.noises)), np.nan)
    rm = np.zeros_like(y)
    for l, (noise, own) in enumerate(zip(measurement.noises, measurement.places, strict=True)):
        if isinstance(noise, sd.Density):
            continue
        values = {name: eta[:, k] for name, k in own.items()}
        if isinstance(noise, sd.Binomial):
            values["p"] = eta[:, own["p"]] = np.full(count, 0.3)
        rm[:, l] = 10.0 if noise.needs_variance else 1.0
        y[:, l] = noise.frozen(values, 1.0 / rm[:, l]).rvs(random_state=rng)
    found = NoiseNumbers(measurement, channels=y.shape[1]).residuals(eta, y, rm)
    for l, name in enumerate(measurement.names):
        if rm[0, l] and name != "censored":
            assert scipy.stats.kstest(found[:, l], "norm").pvalue > 1e-3, name


@VIRTUAL
def test_wrong_noise_is_not_called_consistent():
    """Data with gross outliers, declared Gaussian with its scale estimated."""
    x = sd.state("x", start=(0.0, 2.0))
    sigma = sd.parameter("sigma", bounds=(1e-3, 100.0), start=(0.1, 1.0))
    model = sd.Model({x: -x}, name="relaxation")
    t = np.linspace(0.0, 2.0, 81)
    rng = np.random.default_rng(3)
    y = 2.0 * np.exp(-t) + 0.05 * rng.standard_normal(t.size)
    y[::10] += 4.0
    options = {
        "paths": 2,
        "solver": "newton",
        "start": "nudged",
        "ladder": sd.Ladder(rf0=1e2, alpha=10, rungs=6),
    }
    run = sd.anneal(sd.Action(model, {"y": sd.Normal(x, sigma)}), sd.Observations(t, y), **options)
    assert "not consistent (residuals)" in run.summary()
    assert not np.isnan(run.best.residuals.values).any()
    part = run.best.experiments["1"].residuals
    np.testing.assert_array_equal(part.values, run.best.residuals.values)


@VIRTUAL
def test_noise_that_runs_to_nothing_is_said():
    """Three data and a curve with three unknowns: the likelihood has no maximum."""
    x, v = sd.states("x v", start=(-2.0, 2.0))
    sigma = sd.parameter("sigma", bounds=(1e-9, 10.0), start=(0.1, 1.0))
    model = sd.Model({x: v, v: 0 * v}, name="drift")
    data = sd.Observations([0.0, 1.0], [0.3, 0.8])
    run = sd.anneal(
        sd.Action(model, {"y": sd.Normal(x, sigma)}, scheme="trapezoid"),
        data,
        paths=2,
        solver="newton",
        ladder=sd.Ladder(rf0=1.0, rungs=1),
    )
    assert "the scale of the noise ran to 0 for y" in run.summary()
    assert "not consistent" in run.summary()


REFUSED = [
    (lambda: sd.Normal(noisy.x, -1.0), "scale must be larger than zero, got -1"),
    (lambda: sd.Uniform(2.0, 1.0), "low < high"),
    (lambda: sd.Binomial(2.5, 0.5), "whole number, got 2.5"),
    (lambda: sd.Huber(noisy.x, threshold=0.0), "threshold must be larger than zero"),
    (lambda: sd.Censored(sd.Poisson(noisy.x), low=1.0), r"expected Normal\(...\) or LogNormal"),
    (lambda: sd.Censored(sd.Normal(noisy.x)), "low=, high="),
    (lambda: sd.Density(3.0), "function of the value's symbol"),
    (lambda: sd.Action(noisy.MODEL, {"y": sd.Normal(1.0)}), "uses no state"),
    (
        lambda: sd.Action(noisy.MODEL, {"y": sd.Normal(noisy.x, sd.parameter("sigma"))}),
        "nothing keeps it there.*scale='log'",
    ),
    (
        lambda: sd.Action(noisy.MODEL, {"y": sd.Normal(noisy.x, sd.state("other"))}),
        "not a state of the model",
    ),
]


@pytest.mark.parametrize(("wrong", "message"), REFUSED)
def test_what_is_no_noise_is_refused(wrong, message):
    with pytest.raises(sd.ModelError, match=message):
        wrong()


WRONG = [
    (sd.Poisson(noisy.x), -1.0, "expects a count, a whole number that is not negative"),
    (sd.Poisson(noisy.x), 1.5, "expects a count"),
    (sd.Binomial(3, noisy.x / 9), 4.0, "at most n = 3"),
    (sd.LogNormal(noisy.x, 0.1), 0.0, "expects a positive number"),
]


@pytest.mark.parametrize(("noise", "value", "message"), WRONG)
def test_data_that_the_noise_cannot_give_are_refused(noise, value, message):
    action = sd.Action(noisy.MODEL, {"n": noise})
    with pytest.raises(sd.DataError, match=rf"channel 'n' at time 1.0 is {value}.*{message}"):
        action.bind(sd.Observations([0.0, 1.0], [1.0, value]))


def test_a_missing_variance_is_named():
    with pytest.raises(sd.DataError, match=r"channel 'y' at time 0\.0 has no variance"):
        sd.Action(noisy.MODEL, {"y": noisy.x}).bind(sd.Observations([0.0, 1.0], [1.0, 1.0]))
    with pytest.raises(sd.OptionError, match="twin: variance is missing"):
        sd.twin(
            sd.Action(noisy.MODEL, {"y": noisy.x}), parameters={"k": 1.0}, dt=0.1, steps=2, seed=0
        )


def test_averages_are_of_gaussian_noise():
    action = sd.Action(noisy.MODEL, {"n": sd.Poisson(noisy.x)}, averaging="eq2")
    with pytest.raises(sd.OptionError, match="averaging='sum'"):
        action.bind(sd.Observations([0.0, 1.0], [1.0, 1.0]))


def test_what_is_derived_for_squares_refuses_other_noise():
    action = sd.Action(noisy.MODEL, {"n": sd.Poisson(noisy.x)}, model_error="rate")
    with pytest.raises(sd.OptionError, match="Gaussian noise"):
        action.lagrangian()
    data = sd.Observations([0.0, 1.0], [1.0, 1.0])
    with pytest.raises(sd.OptionError, match="solver='newton'"):
        sd.anneal(action, data, solver="collocation", paths=1, ladder=sd.Ladder(rf0=1.0, rungs=1))
    i = sd.site("i", 300)
    field = sd.states("w", i, start=(0.0, 1.0))
    lattice = sd.Model({field[i]: field[i - 1] - field[i]}, name="ring")
    with pytest.raises(sd.OptionError, match="matrix-free"):
        sd.Action(lattice, {"n": sd.Poisson(field[0])})


def test_equations_show_noise():
    text = str(noisy.action().equations())
    assert "rho_9(y) = k*(x**2 + 1) - y*log(k*(x**2 + 1)) + loggamma(y + 1)" in text
    assert "dA/dtheta" in text
    assert "rho''[n]" in text
    assert r"\rho_{9}" in noisy.action().equations().latex()


def test_every_distribution_is_public_and_documented():
    page = (Path(__file__).parent.parent / "docs" / "noise.md").read_text()
    for kind in DISTRIBUTIONS:
        assert getattr(sd, kind.__name__) is kind
        assert f"`sd.{kind.__name__}" in page
