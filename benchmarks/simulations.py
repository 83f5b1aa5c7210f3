"""Section "simulate": adaptive steps against SciPy and CVODES; ensembles, in lanes and without."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from functools import partial

import casadi as ca
import numpy as np
from common import (
    STANDARD,
    Row,
    Size,
    hand_over,
    lorenz96,
    milliseconds,
    pin,
    section_size,
)
from scipy.integrate import solve_ivp

import symda as sd

SECTION = "simulate"
#: Robertson's reactions: rates, start, times.
RATES, FIRST = np.array([0.04, 3e7, 1e4]), np.array([1.0, 0.0, 0.0])
SIZES = np.array([1.0, 1e-5, 1.0])
TIMES = np.concatenate([[0.0], np.geomspace(0.4, 4e4, 12)])
#: The neuron's first state, and milliseconds between two samples of its current.
REST, DT = np.array([-65.0, 0.1, 0.3, 0.6]), 0.02


def reactions() -> sd.Model:
    """Robertson's problem."""
    A, B, C = sd.states("A B C")
    k1, k2, k3 = sd.parameters("k1 k2 k3")
    made, spent, back = k1 * A, k2 * B**2, k3 * B * C
    return sd.Model({A: -made + back, B: made - back - spent, C: spent}, name="robertson")


def rates(_t: float, x: np.ndarray) -> np.ndarray:
    """Return the right-hand side as one writes it in NumPy."""
    made, spent, back = RATES[0] * x[0], RATES[1] * x[1] ** 2, RATES[2] * x[1] * x[2]
    return np.array([back - made, made - back - spent, spent])


def slopes(_t: float, x: np.ndarray) -> np.ndarray:
    """Jacobian of `rates`."""
    k1, k2, k3 = RATES
    return np.array(
        [
            [-k1, k3 * x[2], k3 * x[1]],
            [k1, -k3 * x[2] - 2 * k2 * x[1], -k3 * x[1]],
            [0.0, 2 * k2 * x[1], 0.0],
        ]
    )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep CVODES' own lines out of the section's output."""
    kept, nothing = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nothing)


def cvodes(
    model: sd.Model, times: np.ndarray, rtol: float, atol: float, *, sampled: bool
) -> tuple[ca.Function, Callable[..., object]]:
    """Make CasADi's integrator of a model, states at all times, and the same with sensitivities.

    A sampled forcing is a control: its value and slope in each interval, and when that begins.
    """
    from symda.declare import Measurement
    from symda.derive.field import derive_field

    field = derive_field(model, Measurement((), (), ()), natural=True)
    x, p, t = ca.SX.sym("x", field.D), ca.SX.sym("p", field.P), ca.SX.sym("t")
    u = ca.SX.sym("u", 3) if sampled else ca.SX(0, 1)
    drive = u[0] + u[1] * (t - u[2]) if sampled else ca.SX(0, 1)
    problem = {"x": x, "p": p, "u": u, "t": t, "ode": ca.densify(field.field(x, drive, p, t))}
    options = {"abstol": atol, "reltol": rtol, "max_num_steps": 100_000}
    flow = ca.integrator("flow", "cvodes", problem, times[0], times[1:], options)
    n = field.D + field.P
    forward, basis = flow.forward(n), np.eye(n)
    seeds = {"fwd_x0": basis[: field.D], "fwd_p": basis[field.D :]}
    return flow, partial(forward, **seeds)


def stiff_rows(size: Size) -> list[Row]:
    """Robertson's problem at rtol = 1e-8: alone, with sensitivities, and 100 parameter sets."""
    model, rtol = reactions(), 1e-8
    names = [p.name for p in model.parameters]
    k = dict(zip(("k1", "k2", "k3"), RATES, strict=True))

    def ours(*, sensitivities: bool) -> sd.Trajectory:
        given = {"rtol": rtol, "atol": 1e-2 * rtol * SIZES, "sensitivities": sensitivities}
        return sd.integrate(model, TIMES, FIRST, method="adaptive", parameters=k, **given)

    def scipy(tolerance: float) -> np.ndarray:
        given = {"rtol": tolerance, "atol": 1e-2 * tolerance * SIZES, "jac": slopes}
        return solve_ivp(rates, TIMES[[0, -1]], FIRST, "Radau", TIMES, **given).y.T

    with quiet():
        flow, with_slopes = cvodes(model, TIMES, rtol, 1e-7 * rtol, sampled=False)
        values = np.array([k[name] for name in names])
        call = {"x0": FIRST, "p": values}
        exact = scipy(3e-13)
        size_of = np.abs(exact).max(axis=0)

        def error(states: np.ndarray) -> float:
            return float((np.abs(states - exact) / size_of).max())

        errors = {
            "error": error(ours(sensitivities=False).states.values),
            "error, SciPy": error(scipy(rtol)),
            "error, CVODES": error(np.vstack([FIRST, np.asarray(flow(**call)["xf"]).T])),
        }
        alone = milliseconds(lambda: ours(sensitivities=False))
        slow = milliseconds(lambda: scipy(rtol))
        other = milliseconds(lambda: flow(**call))
        both = milliseconds(lambda: ours(sensitivities=True))
        other_both = milliseconds(lambda: with_slopes(**call))
    count = 100 if size == STANDARD else 4
    spread = 10.0 ** np.random.default_rng(0).uniform(-2.0, 2.0, (3, count))
    many = {name: k[name] * factor for name, factor in zip(names, spread, strict=True)}
    sets = milliseconds(
        lambda: sd.integrate(
            model, TIMES, FIRST, method="adaptive", parameters=many, rtol=1e-6, threads=1
        )
    )
    what = "stiff reactions, rtol 1e-8"
    goal = 30.0 if size == STANDARD else None
    return [
        Row(SECTION, what, "ms", alone, "solve_ivp, Radau, NumPy", slow, main=True, points=errors),
        Row(SECTION, what, "ms", alone, "CVODES by CasADi", other),
        Row(
            SECTION,
            f"{what}, with 6 sensitivities of each state",
            "ms",
            both,
            "CVODES by CasADi",
            other_both,
            at_most=goal,
            main=True,
        ),
        Row(
            SECTION,
            f"{count} parameter sets of them, rtol 1e-6",
            "s",
            1e-3 * sets,
            at_most=1.0 if size == STANDARD else None,
            main=True,
        ),
    ]


def neuron_rows(size: Size) -> list[Row]:
    """Rows of a neuron driven by a sampled current, its state kept at each sample."""
    model, steps, rtol = sd.models.nakl(), 800 if size == STANDARD else 40, 1e-6
    times = DT * np.arange(steps + 1)
    current = 20.0 * np.sin(1.3 * times) + 10.0 * np.sin(3.1 * times) + 5.0
    samples = sd.Samples(times, current)
    channel = model.forcing[0].name

    def ours(*, sensitivities: bool) -> object:
        return sd.integrate(
            model, times, REST, method="adaptive", parameters=sd.models.NAKL,
            forcing={channel: samples}, rtol=rtol, sensitivities=sensitivities,
        )  # fmt: skip

    def simulated() -> object:
        return sd.simulate(
            model, times, REST, parameters=sd.models.NAKL, forcing={channel: samples}, rtol=rtol
        )

    with quiet():
        flow, with_slopes = cvodes(model, times, rtol, 1e-3 * rtol, sampled=True)
        u = np.array([current[:-1], np.diff(current) / DT, times[:-1]])
        call = {"x0": REST, "p": [sd.models.NAKL[p.name] for p in model.parameters], "u": u}

        def timed(call: Callable[[], object]) -> float:
            return milliseconds(call, batches=3)

        alone, own = milliseconds(lambda: ours(sensitivities=False)), timed(simulated)
        other = timed(lambda: flow(**call))
        both = milliseconds(lambda: ours(sensitivities=True))
        other_both = timed(lambda: with_slopes(**call))
    what = f"neuron, {steps + 1} samples of the current, rtol 1e-6"
    return [
        Row(SECTION, what, "ms", alone, "sd.simulate, DOP853", own, main=True),
        Row(SECTION, what, "ms", alone, "CVODES by CasADi", other),
        Row(
            SECTION,
            f"{what}, with 22 sensitivities of each state",
            "ms",
            both,
            "CVODES by CasADi",
            other_both,
        ),
    ]


def in_lanes(
    model: sd.Model,
    times: np.ndarray,
    x0: np.ndarray,
    theta: np.ndarray,
    rtol: float,
    sources: tuple[sd.Samples, ...] = (),
) -> tuple[float, float]:
    """Milliseconds of an ensemble's adaptive steps, with a member in each lane and without."""
    from symda.api.adaptive import engine_of, way_through

    way = way_through(model, sources, times, {}, where="benchmark")
    atol = 1e-3 * rtol * np.abs(x0)

    def timed(*, together: bool) -> float:
        engine = engine_of(way.model, together=together)
        return milliseconds(lambda: engine.run(x0, theta, way.course, rtol=rtol, atol=atol))

    return timed(together=True), timed(together=False)


def fixed_in_lanes(model: sd.Model, x0: np.ndarray, theta: np.ndarray) -> tuple[float, float]:
    """Milliseconds of 200 steps of rk4, with a member in each lane and without."""
    from symda.api.flow_machine import machine_of
    from symda.build.steps import Stretches

    steps = Stretches(np.zeros(1), np.array([0.01]), np.array([200]), np.empty((0, 4, 0)))

    def timed(*, together: bool) -> float:
        engine, _ = machine_of(model, sd.INTEGRATORS["rk4"], together=together)
        return milliseconds(lambda: engine.advance(0, x0, theta, steps))

    return timed(together=True), timed(together=False)


def ensemble_rows(size: Size) -> list[Row]:
    """Rows of many members on one thread: chaotic ones, and neurons with a sampled current."""
    members, rng, rtol = size.flow[1], np.random.default_rng(0), 1e-8
    model, nu = lorenz96(11, (0,)).model, 8.17
    x0 = nu + rng.normal(size=(members, 11))
    times, theta = np.linspace(0.0, 2.0, 5), np.full((members, 1), nu)

    def slope(_t: float, x: np.ndarray) -> np.ndarray:
        return (np.roll(x, -1) - np.roll(x, 2)) * np.roll(x, 1) - x + nu

    def scipy() -> object:
        given = {"method": "DOP853", "t_eval": times, "rtol": rtol, "atol": 1e-3 * rtol * nu}
        return solve_ivp(slope, times[[0, -1]], x0[0], **given)

    def ours() -> object:
        return sd.integrate(
            model, times, x0, method="adaptive", parameters=[nu], rtol=rtol, threads=1
        )

    neuron, steps = sd.models.nakl(), 800 if size == STANDARD else 40
    samples = DT * np.arange(steps + 1)
    current = sd.Samples(samples, 20.0 * np.sin(1.3 * samples) + 5.0)
    rest = REST * (1.0 + 0.1 * rng.uniform(-1.0, 1.0, (members, 4)))
    values = np.array([sd.models.NAKL[p.name] for p in neuron.parameters])
    values = np.repeat(values[None], members, axis=0)
    together, apart = in_lanes(model, times, x0, theta, rtol)
    neurons, neurons_apart = in_lanes(neuron, samples, rest, values, 1e-6, (current,))
    fixed, fixed_apart = fixed_in_lanes(model, x0, theta)
    what, goal = f"{members} starts of Lorenz-96, D = 11", 1.8 if size == STANDARD else None
    without = "the same without lanes"
    return [
        Row(
            SECTION,
            f"{what}, 2 time units, rtol 1e-8",
            "ms",
            milliseconds(ours),
            "solve_ivp, DOP853, NumPy",
            members * milliseconds(scipy, batches=3),
            main=True,
        ),
        Row(SECTION, f"{what}, steps alone", "ms", together, without, apart, at_least_times=goal),
        Row(
            SECTION,
            f"{members} neurons, {steps + 1} samples, rtol 1e-6, steps alone",
            "ms",
            neurons,
            without,
            neurons_apart,
            at_least_times=goal,
            main=True,
        ),
        Row(SECTION, f"{what}, 200 steps of rk4", "ms", fixed, without, fixed_apart, main=True),
    ]


def measure(size: Size) -> list[Row]:
    """All rows of the section."""
    pin()
    return [*neuron_rows(size), *stiff_rows(size), *ensemble_rows(size)]


if __name__ == "__main__":
    hand_over(measure(section_size()))
