"""One step composed and differentiated in SymPy alone, against CasADi and the compiled kernels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import casadi as ca
import numpy as np
import pytest
import sympy as sp
from models import ODE_SCHEMES
from numpy.typing import NDArray

import symda as sd
from symda.build import build
from symda.build.kernels import compiled_kernels
from symda.declare import Measurement, Model, measure
from symda.derive.field import derive_field
from symda.derive.step import STEP_HEAD, derive_step
from symda.discretise import SCHEMES, Scheme, step_residual
from symda.emit import emit
from symda.lower import lower
from symda.typeset.formulas import exact

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Oracle:
    """Value, gradient and Hessian of one step's cost as functions of (w, theta, step, rf)."""

    value: Callable[..., float]
    gradient: Callable[..., Array]
    hessian: Callable[..., Array]


def step_action_sympy(model: Model, measurement: Measurement, scheme: Scheme) -> Oracle:
    """Compose the residual in SymPy, square it, and differentiate it twice in SymPy."""
    D, U = len(model.states), len(model.forcing)
    parameters = (*model.parameters, *measurement.parameters)
    E, S = D * (1 + len(scheme.interior)), len(scheme.abscissae)
    w, theta = sp.symbols(f"w:{E + D}"), sp.symbols(f"p:{len(parameters)}")
    step, rf = sp.symbols(f"s:{STEP_HEAD + S * U}"), sp.symbols(f"rf:{D}")
    t, h, weight = step[:STEP_HEAD]

    def slope(stage: int, argument: Sequence[sp.Expr]) -> list[sp.Expr]:
        start = STEP_HEAD + scheme.slot(stage) * U
        values = dict(zip(model.states, argument, strict=True))
        values |= dict(zip(parameters, theta, strict=True))
        values |= dict(zip(model.forcing, step[start : start + U], strict=True))
        if model.time is not None:
            c = scheme.c[stage]
            values[model.time] = t + exact(c) * h
        return [expression.xreplace(values) for expression in model.equations]

    window = [w[i : i + D] for i in range(0, E + D, D)]
    residual = step_residual(scheme, slope, window, h, exact)
    cost = sum(rf[i % D] * weight * r**2 / 2 for i, r in enumerate(residual))
    unknowns = [*w, *theta]
    first = [cost.diff(v) for v in unknowns]
    second = [[g.diff(v) for v in unknowns] for g in first]
    inputs = (w, theta, step, rf)
    return Oracle(
        *(sp.lambdify(inputs, result, modules="math", cse=True) for result in (cost, first, second))
    )


def pendulum() -> tuple[Model, Measurement]:
    phi, omega = sd.states("phi omega")
    gamma, g, gain = sd.parameters("gamma g gain")
    drive, t = sd.forcing("drive"), sd.time()
    model = sd.Model(
        {phi: omega, omega: -gamma * omega - g * sp.sin(phi) + drive * sp.cos(t)}, name="pendulum"
    )
    return model, measure(model, [gain * sp.sin(phi)])


def decay() -> tuple[Model, Measurement]:
    (x,) = sd.states(["x"])
    model = sd.Model({x: x - x**3}, name="decay")
    return model, measure(model, [x])


def lorenz() -> tuple[Model, Measurement]:
    x, y, z = sd.states("x y z")
    sigma, rho, beta = sd.parameters("sigma rho beta")
    model = sd.Model({x: sigma * (y - x), y: x * (rho - z) - y, z: x * y - beta * z}, name="lorenz")
    return model, measure(model, [x, y, z])


def henon() -> tuple[Model, Measurement]:
    x, y = sd.states("x y")
    a, b = sd.parameters("a b")
    kick, n = sd.forcing("kick"), sd.time("n")
    model = sd.Model({x: 1 - a * x**2 + y + kick * n, y: b * x}, name="henon", discrete=True)
    return model, measure(model, [x])


MODELS = {f.__name__: f for f in (pendulum, decay, lorenz, henon)}
ODE = [scheme.name for scheme in ODE_SCHEMES]
CASES = [(model, scheme) for model in ("pendulum", "decay") for scheme in ODE]
CASES += [("lorenz", "trapezoid"), ("lorenz", "hermite-simpson"), ("henon", "map")]
#: Each costs a run of the compiler.
COMPILED = [("pendulum", scheme) for scheme in ODE if scheme != "gauss6"]
COMPILED += [("decay", "hermite-simpson"), ("henon", "map")]


@cache
def oracle(model: str, scheme: str) -> Oracle:
    return step_action_sympy(*MODELS[model](), SCHEMES[scheme])


def compare(functions: dict[str, ca.Function], name: str, scheme_name: str) -> None:
    (model, measurement), scheme = MODELS[name](), SCHEMES[scheme_name]
    D, U = len(model.states), len(model.forcing)
    P = len(model.parameters) + len(measurement.parameters)
    E, S = D * (1 + len(scheme.interior)), len(scheme.abscissae)
    rng = np.random.default_rng(7)
    expected = oracle(name, scheme_name)
    for _ in range(3):
        step = np.concatenate([[0.3, 0.1, 1.7], rng.normal(size=S * U)])
        inputs = (rng.normal(size=E + D), rng.normal(size=P), step, rng.uniform(0.5, 4.0, D))
        value, gradient = functions["step_gradient"](*inputs)
        close(functions["step_action"](*inputs), expected.value(*inputs))
        close(value, expected.value(*inputs))
        close(gradient, expected.gradient(*inputs))
        upper = functions["step_hessian"](*inputs).full()
        assert np.array_equal(upper, np.triu(upper))
        close(upper + np.triu(upper, 1).T, expected.hessian(*inputs))


def close(got: object, expected: object) -> None:
    left = np.asarray(got, dtype=float).reshape(-1)
    right = np.asarray(expected, dtype=float).reshape(-1)
    assert left.shape == right.shape
    assert np.linalg.norm(right) > 0
    assert np.linalg.norm(left - right) <= 1e-12 * np.linalg.norm(right)


@pytest.mark.parametrize(("model", "scheme"), CASES)
def test_casadi_agrees_with_sympy(model: str, scheme: str) -> None:
    field = derive_field(*MODELS[model]())
    compare(dict(derive_step(field, SCHEMES[scheme])), model, scheme)


@pytest.mark.smoke
@pytest.mark.parametrize(("model", "scheme"), COMPILED)
def test_compiled_kernels_agree_with_sympy(model: str, scheme: str) -> None:
    field = derive_field(*MODELS[model]())
    kernels = compiled_kernels(build(emit(lower(field, SCHEMES[scheme]))))
    compare(dict(kernels.functions), model, scheme)
