"""Error bars of states and parameters: dense inverses, exact linear answers, quadrature."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp
from error_bars import dense, ladder, pendulum, recorded, walk
from hypothesis import given
from hypothesis import strategies as st

import symda as sd
from symda.analyse.mixture import quantile
from symda.errors import OptionError, SolveError
from symda.solve.bordered import Bordered

pytestmark = pytest.mark.usefixtures("uncompiled")


@given(st.data())
def test_blocks_of_the_inverse_are_those_of_the_dense_one(data: st.DataObject) -> None:
    E = data.draw(st.integers(1, 6))
    D, N = data.draw(st.integers(1, E)), data.draw(st.integers(1, 7))
    P, pieces = data.draw(st.integers(0, 3)), data.draw(st.integers(1, 2))
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    own = N * E + D
    n = pieces * own
    H = np.diag(rng.uniform(0.5, 1.0, n + P))
    for piece in range(pieces):
        for k in range(N):
            w = np.r_[piece * own + k * E : piece * own + k * E + E + D, n : n + P]
            J = rng.normal(size=(E, w.size))
            H[np.ix_(w, w)] += J.T @ J
    held = rng.random(n + P) < 0.1
    free = ~held
    exact = np.zeros_like(H)
    exact[np.ix_(free, free)] = np.linalg.inv(H[np.ix_(free, free)])
    rows, columns = np.nonzero(np.triu(H))
    use = np.tile(np.arange(P), (pieces, 1))
    pattern = Bordered(rows, columns, n, P, use, [own] * pieces)
    found = pattern.conditional(H[rows, columns], held)
    assert found is not None
    S = np.linalg.inv(found.schur) if P else np.zeros((0, 0))
    S[held[n:]] = 0.0
    follows = found.follows
    follows[held[:n]] = 0.0
    assert follows @ S == pytest.approx(exact[:n, n:], abs=1e-11)
    for piece, (diagonal, below) in enumerate(found.blocks(E)):
        for k, block in enumerate(diagonal):
            at = piece * own + np.arange(k * E, min(own, k * E + E))
            mine = block[: at.size, : at.size] * np.outer(free[at], free[at])
            assert mine + follows[at] @ S @ follows[at].T == pytest.approx(
                exact[np.ix_(at, at)], abs=1e-11
            )
            if k + 1 < len(diagonal):
                after = piece * own + np.arange(k * E + E, min(own, k * E + 2 * E))
                mine = below[k][: after.size, : at.size] * np.outer(free[after], free[at])
                assert mine + follows[after] @ S @ follows[at].T == pytest.approx(
                    exact[np.ix_(after, at)], abs=1e-11
                )
    assert found.log_determinant + (np.linalg.slogdet(found.schur)[1] if P else 0.0) == (
        pytest.approx(np.linalg.slogdet(H[np.ix_(free, free)])[1], abs=1e-10)
    )


@pytest.mark.parametrize("scheme", ["rk4", "hermite-simpson", "gauss4", "radau5"])
@pytest.mark.parametrize("scale", [None, "log"])
def test_everything_is_of_the_dense_inverse(scheme: str, scale: str | None) -> None:
    action = pendulum(scheme, **({} if scale is None else {"scale": scale}))
    data = recorded(action)
    run = sd.anneal(action, data, **ladder(1e3))
    found = run.posterior()
    g, p = found.levels[0].gaussian, run.problem
    H, C = dense(action, run, g, found.rf)
    free = p.unknowns.free
    D, n = p.D, p.M * p.D
    for m in range(p.M):
        own = slice(m * D, m * D + D)
        assert g.covariance[m] == pytest.approx(C[own, own], rel=1e-6, abs=1e-12)
        if m + 1 < p.M:
            after = slice(m * D + D, m * D + 2 * D)
            assert g.between[m] == pytest.approx(C[after, own], rel=1e-6, abs=1e-12)
    assert g.with_parameters.reshape(n, -1) == pytest.approx(C[:n, n:], rel=1e-6, abs=1e-12)
    assert g.of_parameters == pytest.approx(C[n:, n:], rel=1e-6, abs=1e-12)
    along = np.random.default_rng(0).normal(size=n + p.P)
    assert g.variance(along) == pytest.approx(along @ C @ along, rel=1e-7)
    inner = np.linalg.slogdet(H[np.ix_(free, free)])[1]
    assert g.log_mass == pytest.approx(-g.action - 0.5 * inner, abs=1e-8)
    theirs = action.posterior(run, data)
    assert found.parameters["sd"].to_numpy() == pytest.approx(list(theirs.sd.values()), rel=1e-6)
    k = next(one for one in action.parameters if one.name == "k")
    values, at_k = run.best.parameters, n + p.parameters.index("k")
    each = found.expected(action.model["x"] ** 2 + k)
    x = run.best.states.sel(state="x").values
    assert each["mean"].values == pytest.approx(x**2 + values["k"])
    k_slope = values["k"] if scale == "log" else 1.0
    for m in (0, 7, p.M - 1):
        gradient = np.zeros(n + p.P)
        gradient[m * D], gradient[at_k] = 2.0 * x[m], k_slope
        assert each["sd"].values[m] ** 2 == pytest.approx(gradient @ C @ gradient, rel=1e-6)


def test_an_integral_takes_errors_of_different_times_together() -> None:
    action = pendulum("rk4")
    run = sd.anneal(action, recorded(action), **ladder(1e3))
    found, p = run.posterior(), run.problem
    g = found.levels[0].gaussian
    C = dense(action, run, g, found.rf)[1]
    weights = np.full(p.M, 0.1)
    weights[[0, -1]] = 0.05
    gradient = np.zeros(p.M * p.D + p.P)
    gradient[1 : p.M * p.D : p.D] = weights
    for over, factor in (("integral", 1.0), ("mean", 0.25), (weights, 1.0)):
        whole = found.expected(action.model["v"], over=over)
        assert float(whole["sd"]) == pytest.approx(
            factor * math.sqrt(gradient @ C @ gradient), rel=1e-6
        )
        # the pendulum's velocity adds up to the way it went
        x = run.best.states.sel(state="x").values
        assert float(whole["mean"]) == pytest.approx(factor * (x[-1] - x[0]), abs=5e-2)


@pytest.mark.parametrize(("D", "N", "rf"), [(1, 1, 1.0), (1, 6, 1e4), (3, 9, 10.0), (4, 12, 0.3)])
def test_of_a_linear_model_it_is_the_exact_distribution(D: int, N: int, rf: float) -> None:
    """Against the normal equations of all data and steps together, made here by hand."""
    rng = np.random.default_rng(D)
    action = walk(rng, D)
    L = len(action.measurement.functions)
    y = rng.normal(size=(N + 1, L))
    variance = 0.3
    run = sd.anneal(action, sd.Observations(np.arange(N + 1.0), y, variance=variance), **ladder(rf))
    found = run.posterior()
    A = np.array([[float(e.coeff(x)) for x in action.model.states] for e in action.model.equations])
    n = (N + 1) * D
    rows, values = [], []
    for m in range(N):
        block = np.zeros((D, n + L))
        block[:, m * D : m * D + D] = -A
        block[np.arange(0, D, 2), n + np.arange(L)] = -1.0
        block[:, m * D + D : m * D + 2 * D] = np.eye(D)
        rows.append(math.sqrt(rf) * block)
        values.append(np.zeros(D))
    for m in range(N + 1):
        block = np.zeros((L, n + L))
        block[np.arange(L), m * D + np.arange(0, D, 2)] = 1.0
        block[np.arange(L), n + np.arange(L)] = -1.0 / 3.0
        rows.append(block / math.sqrt(variance))
        values.append(y[m] / math.sqrt(variance))
    J, right = np.concatenate(rows), np.concatenate(values)
    C = np.linalg.inv(J.T @ J)
    mean = C @ (J.T @ right)
    assert found.mean.values.reshape(-1) == pytest.approx(mean[:n], rel=1e-8, abs=1e-8)
    assert found.sd.values.reshape(-1) ** 2 == pytest.approx(np.diag(C)[:n], rel=1e-8)
    assert found.parameters["sd"].to_numpy() ** 2 == pytest.approx(np.diag(C)[n:], rel=1e-8)
    assert found.neighbouring.values[0] == pytest.approx(C[D : 2 * D, :D], rel=1e-7, abs=1e-10)
    z = found.interval(0.9)["high"].values.reshape(-1) - mean[:n]
    assert z / np.sqrt(np.diag(C)[:n]) == pytest.approx(1.6448536269514722, rel=1e-6)


def test_of_a_solution_it_is_that_of_first_states_and_parameters() -> None:
    """Of a linear map, against the regression of the data on both."""
    action = walk(np.random.default_rng(1), 3)
    y = np.random.default_rng(2).normal(size=(10, 2))
    run = sd.anneal(
        action,
        sd.Observations(np.arange(10.0), y, variance=[0.3, 0.7]),
        finish="strong",
        **ladder(1e4) | {"paths": 1},
    )
    found = run.posterior()
    assert np.isinf(found.rf).all() and "taken as exact" in str(found)
    A = np.array([[float(e.coeff(x)) for x in action.model.states] for e in action.model.equations])
    into = np.zeros((3, 5))
    into[:, :3] = np.eye(3)
    tangent = [into]
    for _ in range(9):
        after = A @ tangent[-1]
        after[[0, 2], [3, 4]] += 1.0
        tangent.append(after)
    T = np.array(tangent)
    own = T[:, [0, 2]].copy()
    own[:, [0, 1], [3, 4]] -= 1.0 / 3.0
    J = own.reshape(-1, 5)
    weight = np.tile([1.0 / 0.3, 1.0 / 0.7], 10)
    F = J.T @ (weight[:, None] * J)
    C = np.linalg.inv(F)
    mean = C @ (J.T @ (weight * y.reshape(-1)))
    # solutions are known to a hundred-thousandth in the action
    assert found.mean.values == pytest.approx(T @ mean, abs=2e-3)
    exact = T @ C @ T.transpose(0, 2, 1)
    assert found.covariance.values == pytest.approx(exact, rel=1e-5, abs=1e-9)
    between = T[1:] @ C @ T[:-1].transpose(0, 2, 1)
    assert found.neighbouring.values == pytest.approx(between, rel=1e-5, abs=1e-8)
    assert found.parameters["sd"].to_numpy() ** 2 == pytest.approx(np.diag(C)[3:], rel=1e-5)
    assert run.dataset["state_sd"].values == pytest.approx(found.sd.values, rel=1e-6)
    x = action.model.states
    over = np.full(10, 1.0 / 9.0)
    over[[0, -1]] = 0.5 / 9.0
    along = over @ T[:, 1]
    whole = found.expected(x[1], over="mean")
    assert float(whole["sd"]) ** 2 == pytest.approx(along @ C @ along, rel=1e-5)
    # one datum, and half a channel's worth of them
    left = F - np.outer(J[4], J[4]) / 0.3
    each = 0.5 * (np.linalg.slogdet(F)[1] - np.linalg.slogdet(left)[1])
    assert found.information_by_time.values[2, 0] == pytest.approx(each, rel=1e-4)


def square(noise: float, tilt: float) -> tuple[sd.Action, sd.Observations]:
    """x_n+1 = x_n, y = x^2 and a weak z = x: two wells at about +-1 of unequal depth and width."""
    x = sd.state("x", start=(-3.0, 3.0))
    action = sd.Action(
        sd.Model({x: x}, name="still", discrete=True), {"y": x**2 + x**3 / 4, "z": x}
    )
    values = np.array([[1.0, tilt], [1.0, np.nan]])
    return action, sd.Observations([0.0, 1.0], values, variance=[noise, 1.0])


@pytest.mark.parametrize("noise", [1e-2, 1e-3])
def test_levels_weigh_what_lies_under_them(noise: float) -> None:
    """Against quadrature on a grid of both unknowns."""
    action, data = square(noise, 0.4)
    rf = 50.0
    starts = np.array([[[1.0], [1.0]], [[-1.3], [-1.3]]])
    run = sd.anneal(action, data, start=starts, **ladder(rf))
    found = run.posterior()
    assert len(found.levels) == 2
    grid = np.linspace(-3.0, 3.0, 1501)
    a, b = np.meshgrid(grid, grid, indexing="ij")
    cost = 0.5 * rf * (b - a) ** 2 + 0.5 * (a - 0.4) ** 2
    for x in (a, b):
        cost += 0.5 * (x**2 + x**3 / 4 - 1.0) ** 2 / noise
    density = np.exp(-(cost - cost.min()))
    density /= density.sum()
    right = float(density[a + b > 0.0].sum())
    heaviest = found.levels[0]
    own = right if heaviest.gaussian.path[0, 0] > 0.0 else 1.0 - right
    assert heaviest.weight == pytest.approx(own, abs=3.0 * noise)
    assert 0.5 < own < 0.95
    mean = float((density * a).sum())
    assert found.mean.values[0, 0] == pytest.approx(mean, abs=6.0 * noise)
    spread = math.sqrt(float((density * (a - mean) ** 2).sum()))
    assert found.sd.values[0, 0] == pytest.approx(spread, rel=4.0 * noise)
    low, high = (float(found.interval(0.5)[name].values[0, 0]) for name in ("low", "high"))
    of_a = density.sum(axis=1).cumsum()
    assert [low, high] == pytest.approx(np.interp([0.25, 0.75], of_a, grid), abs=0.01 + noise)
    assert "weight" in str(found)


def test_levels_that_are_not_apart_are_said() -> None:
    action, data = square(2.5, 0.0)
    starts = np.array([[[1.0], [1.0]], [[-1.3], [-1.3]]])
    run = sd.anneal(action, data, start=starts, **ladder(50.0))
    assert any("not apart" in note for note in run.posterior().notes)


def test_a_bound_is_said_and_the_rest_given_for_it() -> None:
    x = sd.state("x", start=(-2.0, 2.0))
    k = sd.parameter("k", bounds=(0.0, 0.1))
    action = sd.Action(sd.Model({x: k * x}, name="growth"), [x])
    times = np.linspace(0.0, 1.0, 11)
    run = sd.anneal(action, sd.Observations(times, np.exp(times), variance=0.01), **ladder(1e4))
    found = run.posterior()
    row = found.parameters.loc["k"]
    assert row["at_bound"] and math.isnan(row["sd"])
    assert "k = 0.1, on a bound: no error bar" in str(found)
    fixed = sd.anneal(
        action,
        sd.Observations(times, np.exp(times), variance=0.01),
        fixed={"k": 0.1},
        **ladder(1e4),
    )
    assert found.sd.values == pytest.approx(fixed.posterior().sd.values, rel=1e-6)


def test_what_nothing_measures_is_not_determined() -> None:
    x, z = sd.states("x z", start=(-2.0, 2.0))
    action = sd.Action(sd.Model({x: -x, z: x - z}, name="pair"), [x])
    times = np.linspace(0.0, 1.0, 11)
    data = sd.Observations(times, np.exp(-times), variance=0.01)
    found = sd.anneal(action, data, **ladder(1e4)).posterior()
    assert np.isinf(found.sd.sel(state="z").values).all()
    assert np.isfinite(found.sd.sel(state="x").values).all()
    assert "z: not determined" in str(found)
    assert math.isinf(float(found.expected(x + z, over="mean")["sd"]))
    assert math.isfinite(float(found.expected(x, over="mean")["sd"]))


@pytest.mark.parametrize("known", ["given", "prior"])
def test_a_start_that_is_known_determines_what_nothing_measures(known: str) -> None:
    """z' = x - z from a known z0, beside a measured x: z0 e^-t plus what x adds."""
    prior = {"prior": sd.Normal(0.3, 0.1)} if known == "prior" else {}
    x, z = sd.state("x", start=(-2.0, 2.0)), sd.state("z", start=(-2.0, 2.0), **prior)
    model = sd.Model({x: -x, z: x - z}, name="pair")
    action = sd.Action(model, [x], initial={z: 0.3} if known == "given" else None)
    times = np.linspace(0.0, 1.0, 11)
    data = sd.Observations(times, np.exp(-times), variance=0.01)
    found = sd.anneal(action, data, **ladder(1e8)).posterior()
    first = 0.1 if prior else 0.0
    assert found.sd.values[0, 1] == pytest.approx(first, rel=1e-3, abs=1e-12)
    # x = x0 e^-t, so that z = (z0 + x0 t) e^-t
    of_x0 = 0.01 / float(np.exp(-2.0 * times).sum())
    exact = np.exp(-times) * np.sqrt(first**2 + of_x0 * times**2)
    assert found.sd.values[1:, 1] == pytest.approx(exact[1:], rel=1e-2)


def test_averaging_does_not_change_the_bands_of_plots() -> None:
    """eq. 2 divides both sums by what is one number here: the same minimum, the same bars."""
    model = pendulum("rk4").model
    both = recorded(pendulum("rk4"), steps=20)
    values = both.values[:, 0].copy()
    values[2] = both.values[1:4:2, 0].mean()
    data = sd.Observations(both.times, values, variance=0.01)
    found = []
    for averaging in ("sum", "eq2"):
        action = sd.Action(model, {"x": model["x"]}, averaging=averaging)
        problem = action.bind(data)
        # the model's sum has a factor of its own: the same weight beside the data's
        rf = 1e3 * problem.measurement_scale / float(problem.weight[0])
        run = sd.anneal(action, data, **ladder(rf))
        found.append(run.dataset["state_sd"].values)
    assert found[1] == pytest.approx(found[0], rel=1e-3)


def test_what_may_change_freely_and_is_not_felt_is_not_determined() -> None:
    x = sd.state("x", start=(-2.0, 2.0))
    u = sd.parameter("u", per="step", start=(-1.0, 1.0))
    action = sd.Action(sd.Model({x: x / 2 + u}, name="pushed", discrete=True), [x])
    data = sd.Observations(np.arange(6.0), np.ones(6), variance=0.01)
    found = sd.anneal(action, data, **ladder(100.0)).posterior()
    of_u = found.sd.sel(state="u").values
    assert math.isinf(of_u[-1]) and np.isfinite(of_u[:-1]).all()
    assert math.isnan(found.rf[1]) and "Rf = 100 a step" in str(found)


def test_on_a_log_scale_values_are_medians_and_that_is_said() -> None:
    x = sd.state("x", start=(0.5, 4.0), scale="log")
    action = sd.Action(
        sd.Model({x: x}, name="level", discrete=True), {"y": sd.LogNormal(sp.log(x), 1.0)}
    )
    data = sd.Observations([0.0, 1.0], [2.0, np.nan])
    found = sd.anneal(action, data, **ladder(1e8)).posterior()
    assert found.mean.values[0, 0] == pytest.approx(2.0, rel=1e-4)
    ends = [float(found.interval(0.6827)[name].values[0, 0]) for name in ("low", "high")]
    assert ends == pytest.approx([2.0 / math.e, 2.0 * math.e], rel=1e-3)
    assert "of which values are medians" in str(found)


def test_initial_values_that_are_parameters_vary_with_them() -> None:
    x = sd.state("x", start=(-5.0, 5.0))
    a = sd.parameter("a", bounds=(0.0, 5.0))
    model = sd.Model({x: -x}, name="decay")
    action = sd.Action(model, [x], initial={x: 2 * a})
    times = np.linspace(0.0, 1.0, 11)
    data = sd.Observations(times, 3.0 * np.exp(-times), variance=0.01)
    found = sd.anneal(action, data, **ladder(1e6)).posterior()
    assert found.sd.values[0, 0] == pytest.approx(2.0 * found.parameters.loc["a", "sd"], rel=1e-8)
    # of the exact model y = 2 a exp(-t)
    exact = 0.1 / math.sqrt(float((np.exp(-2.0 * times)).sum()))
    assert found.sd.values[0, 0] == pytest.approx(exact, rel=1e-3)


def test_several_recordings_have_error_bars_each() -> None:
    action = pendulum("rk4")
    both = {"one": recorded(action), "two": recorded(action, steps=25, seed=3)}
    run = sd.anneal(action, both, **ladder(1e3))
    found, p = run.posterior(), run.problem
    g = found.levels[0].gaussian
    C = dense(action, run, g, found.rf)[1]
    n = p.M * p.D
    assert found.sd.values.reshape(-1) ** 2 == pytest.approx(np.diag(C)[:n], rel=1e-6)
    assert found.sd.sizes == run.best.states.sizes
    between = found.neighbouring.values
    assert np.isnan(between).all(axis=(1, 2)).sum() == 1
    length = 4.0 + 2.5
    one = found.expected(action.model["x"], over="integral")
    assert float(one["mean"]) == pytest.approx(
        length * float(found.expected(action.model["x"], over="mean")["mean"])
    )


def test_a_profile_is_the_least_action_at_each_value() -> None:
    action = pendulum("rk4")
    data = recorded(action)
    run = sd.anneal(action, data, **ladder(1e4))
    found = run.profile("k")
    for value, least in zip(found.values[[0, -1]], found.actions[[0, -1]], strict=True):
        again = sd.anneal(
            action,
            data,
            fixed={"k": float(value)},
            start=run.best.states.values,
            **ladder(1e4) | {"paths": 1},
        )
        assert again.best.action == pytest.approx(least, abs=1e-5)
    low, high = found.interval()
    sd_k = run.posterior().parameters.loc["k", "sd"]
    assert [low, high] == pytest.approx(
        [run.best.parameters["k"] + side * 1.959964 * sd_k for side in (-1, 1)], rel=2e-3
    )
    assert found.interval(0.5)[0] > low
    with pytest.raises(OptionError, match=r"beyond this profile's 0\.95"):
        found.interval(0.99)
    assert found.rises.min() == 0.0
    assert "95 % by its profile" in str(found)


def test_a_profile_says_where_it_has_no_end() -> None:
    """y = exp(-k): beyond some k it is 0 whatever k is."""
    x = sd.state("x", start=(-2.0, 2.0))
    k = sd.parameter("k", bounds=(0.0, 20.0), start=(3.0, 4.0))
    action = sd.Action(sd.Model({x: 0 * x}, name="rest"), {"y": x + sp.exp(-k), "x": x})
    values = np.stack([np.full(5, 0.05), np.zeros(5)], axis=1)
    run = sd.anneal(action, sd.Observations(np.arange(5.0), values, variance=0.01), **ladder(1e2))
    found = run.profile("k")
    assert math.isfinite(found.interval()[0]) and math.isnan(found.interval()[1])
    assert "no end above: its bound is nearer" in str(found)


def test_bad_questions_are_refused(tmp_path: object) -> None:
    action = pendulum("rk4")
    data = recorded(action)
    run = sd.anneal(action, data, **ladder(1e3))
    found = run.posterior()
    with pytest.raises(OptionError, match=r"profile: 'kk' is no free parameter.*'k'"):
        run.profile("kk")
    with pytest.raises(OptionError, match="it has q"):
        found.expected(sp.Symbol("q"))
    with pytest.raises(OptionError, match="a quantity is one expression, got list"):
        found.expected([action.model["x"]])
    with pytest.raises(OptionError, match="a finite weight for each"):
        found.expected(action.model["x"], over=["mean"])
    with pytest.raises(OptionError, match=r"action is a symda\.Action, got int"):
        run.posterior(action=3)
    with pytest.raises(OptionError, match="over is one of 'mean', 'integral'"):
        found.expected(action.model["x"], over="max")
    with pytest.raises(OptionError, match="a finite weight for each of 41"):
        found.expected(action.model["x"], over=np.ones(3))
    with pytest.raises(OptionError, match="interval: share"):
        found.interval(95)
    file = run.save(tmp_path / "run.nc")
    loaded = sd.load(file)
    assert loaded.dataset["state_low"].values == pytest.approx(found.interval()["low"].values)
    with pytest.raises(OptionError, match=r"run.posterior\(action=action, data=data\)"):
        loaded.posterior()
    again = loaded.posterior(action=action, data=data)
    assert again.sd.values == pytest.approx(found.sd.values)
    other = sd.Observations(data.times, data.values + 1.0, variance=0.01)
    with pytest.raises(OptionError, match="not the data of the run"):
        loaded.posterior(action=action, data=other)
    averaged = sd.Action(action.model, {"x": action.model["x"]}, averaging="eq2")
    with pytest.raises(OptionError, match="averaging"):
        one = sd.Observations(data.times, data.values[:, 0], variance=0.01)
        sd.anneal(averaged, one, **ladder(1.0)).posterior()
    short = sd.anneal(action, data, options={"max_iter": 1}, **ladder(1e3))
    with pytest.raises(SolveError, match="no minimum"):
        short.posterior()


def test_quantiles_of_a_mixture() -> None:
    weights, means = np.array([0.25, 0.75]), np.array([[0.0], [10.0]])
    sds = np.array([[1.0], [2.0]])
    assert quantile(weights, means, sds, 0.125)[0] == pytest.approx(0.0, abs=1e-5)
    assert quantile(weights, means, sds, 0.625)[0] == pytest.approx(10.0, abs=1e-5)
    assert math.isinf(quantile(weights, means, sds * math.inf, 0.9)[0])
