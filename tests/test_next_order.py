"""The next order of Laplace's method: exact sums, and every third derivative."""

from __future__ import annotations

import math

import casadi as ca
import numpy as np
import pytest
from error_bars import dense, exact_chain, ladder, pendulum, recorded, walk

import symda as sd
from symda.api.machine import machine
from symda.build.kernels import matrices_of

pytestmark = pytest.mark.usefixtures("uncompiled")


def well() -> sd.Action:
    """x_n+1 = x_n + (x_n - x_n^3 + c)/10: two wells, tilted by c."""
    x = sd.state("x", start=(-2.0, 2.0))
    c = sd.parameter("c", start=(-2.0, 2.0))
    return sd.Action(sd.Model({x: x + (x - x**3 + c) / 10}, name="well", discrete=True), {"x": x})


def test_the_next_order_is_that_of_the_exact_distribution() -> None:
    """Of a Markov chain with two wells, by forward and backward sums on a grid."""
    rng = np.random.default_rng(5)
    x = [0.8]
    for _ in range(40):
        x.append(x[-1] + (x[-1] - x[-1] ** 3 + 0.1) / 10 + rng.normal() / math.sqrt(20.0))
    values = np.array(x) + math.sqrt(0.05) * rng.normal(size=41)
    values[np.arange(41) % 5 != 0] = np.nan
    data = sd.Observations(np.arange(41.0), values, variance=0.05)
    found = sd.anneal(well(), data, **ladder(20.0)).posterior()
    grid, cs = np.linspace(-2.6, 2.6, 261), np.linspace(-2.5, 4.0, 81)
    mean, spread, c, c_sd = exact_chain(
        values, 20.0, cs, lambda x, y: 0.5 * (x - y) ** 2 / 0.05, grid
    )
    off = (found.mean.values[:, 0] - mean) / spread
    corrected = (found.mean.values[:, 0] + found.shift.values[:, 0] - mean) / spread
    assert np.sqrt(np.mean(corrected**2)) < 0.05
    assert np.sqrt(np.mean(corrected**2)) < 0.4 * np.sqrt(np.mean(off**2))
    row = found.parameters.loc["c"]
    assert abs(row["value"] + found.parameter_shift["c"] - c) < 0.06 * c_sd
    assert found.sd.values[:, 0] == pytest.approx(spread, rel=0.12)
    size = np.abs(found.shift.values[:, 0] / found.sd.values[:, 0]).max()
    assert found.nonlinearity == pytest.approx(
        max(size, abs(found.parameter_shift["c"]) / row["sd"])
    )
    rough = sd.Observations(data.times, values, variance=2.0)
    poor = sd.anneal(well(), rough, **ladder(20.0)).posterior()
    assert poor.nonlinearity > 0.5 and "not to be trusted" in str(poor)


def test_of_a_linear_model_there_is_no_next_order() -> None:
    action = walk(np.random.default_rng(1), 3)
    y = np.random.default_rng(2).normal(size=(8, 2))
    data = sd.Observations(np.arange(8.0), y, variance=0.3)
    found = sd.anneal(action, data, **ladder(3.0)).posterior()
    assert found.nonlinearity < 1e-7 and "is good" in str(found)


@pytest.mark.parametrize("scheme", ["rk4", "hermite-simpson"])
def test_the_next_order_by_exact_third_derivatives(scheme: str) -> None:
    """Of each step and row of data by CasADi, contracted with the dense inverse."""
    action = pendulum(scheme)
    run = sd.anneal(action, recorded(action, steps=9), **ladder(10.0))
    found = run.posterior()
    g, p = found.levels[0].gaussian, run.problem
    _, C = dense(action, run, g, found.rf)
    at = matrices_of(machine(action.specification.of(p)).at(p), "third derivatives")
    z, layout, functions = p.unknowns.join(g.path, g.theta), at.layout, at.kernels.functions
    slope = np.zeros(z.size)
    for name, seen, data in (
        ("step_hessian", layout.step_unknowns, [at.packed.steps, np.tile(found.rf, (p.N, 1))]),
        ("point_hessian", layout.point_unknowns, [at.packed.points]),
    ):
        first, theta, *own = functions[name].sx_in()
        hessian = functions[name](first, theta, *own)
        weight = ca.SX.sym("weight", hessian.shape[0], hessian.shape[1])
        both = hessian + ca.triu(hessian, False).T
        trace = ca.gradient(ca.dot(ca.densify(both), weight), ca.vertcat(first, theta))
        third = ca.Function("third", [first, theta, *own, weight], [trace])
        cut = first.shape[0]
        for i, which in enumerate(seen):
            given = [one[i] for one in data]
            part = third(z[which[:cut]], z[which[cut:]], *given, C[np.ix_(which, which)])
            np.add.at(slope, which, part.full()[:, 0])
    exact = p.unknowns.split(-0.5 * C @ np.where(p.unknowns.free, slope, 0.0))
    assert found.shift.values == pytest.approx(exact[0], rel=1e-6, abs=1e-9)
    assert [*found.parameter_shift.values()] == pytest.approx(exact[1][p.free], rel=1e-6)


@pytest.mark.parametrize("size", [1e-9, 1e9])
def test_units_change_nothing_nor_do_blocks_of_parts(
    size: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    def posterior(size: float) -> sd.PathPosterior:
        x = sd.state("x", start=(-2.0 * size, 2.0 * size))
        model = sd.Model({x: x + (x - x**3 / size**2) / 10}, name="well", discrete=True)
        t = np.arange(13.0)
        data = sd.Observations(t, size * (0.6 + 0.1 * np.cos(t)), variance=0.1 * size**2)
        return sd.anneal(sd.Action(model, {"x": x}), data, **ladder(20.0 / size**2)).posterior()

    plain, other = posterior(1.0), posterior(size)
    assert plain.nonlinearity > 0.01
    assert other.shift.values / size == pytest.approx(plain.shift.values, rel=1e-6)
    monkeypatch.setattr("symda.analyse.nonlinear.BLOCK", 13)
    assert posterior(1.0).shift.values == pytest.approx(plain.shift.values, rel=1e-9)


def test_rounding_of_large_values_is_no_shift() -> None:
    """A state of size 1 measured beside an offset, and another unknown with a large unit."""
    found = []
    for offset in (0.0, 1e7, 1e10):
        x = sd.state("x", start=(-2.0, 2.0))
        q = sd.parameter("q", bounds=(1e11, 1e13))
        z = sd.state("z", start=(0.0, 2.0))
        model = sd.Model(
            {x: x + (x - x**3) / 10, z: z - 1e-13 * q * z**2}, name="two", discrete=True
        )
        action = sd.Action(model, {"x": x + offset, "z": z})
        t = np.arange(13.0)
        truth = 1.0 / (1.0 + 0.1 * t)
        values = np.stack([offset + 0.6 + 0.1 * np.cos(t), truth], axis=1)
        data = sd.Observations(t, values, variance=np.array([0.1, 1e-3]))
        run = sd.anneal(action, data, **ladder(20.0))
        found.append(run.posterior())
    plain, offset, lost = found
    assert offset.nonlinearity == pytest.approx(plain.nonlinearity, rel=0.03)
    # only rounding is left: nothing is said, and that is said
    assert math.isnan(lost.nonlinearity) or lost.nonlinearity == pytest.approx(
        plain.nonlinearity, abs=0.05
    )
