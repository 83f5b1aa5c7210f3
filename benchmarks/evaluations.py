"""Section "evaluate": one action, gradient and Hessian, compiled, interpreted and exported."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import casadi as ca
import numpy as np
from baseline_casadi import Twin, export, virtual_machine
from common import (
    STANDARD,
    Row,
    Size,
    first_point,
    hand_over,
    library,
    lorenz96,
    milliseconds,
    observations,
    pin,
    section_size,
)
from paths import twin_of

from symda.solve.programs import direct

SECTION = "evaluate"
QUANTITIES = ("action", "gradient", "Hessian")
Calls = Mapping[str, Callable[[], object]]


def caller(function: ca.Function, *arguments: object) -> Callable[[], object]:
    """Make a call that writes into memory of its own, as a solver's do: nothing is converted."""
    buffer, trigger = function.buffer()
    given = [np.ascontiguousarray(a, dtype=float).reshape(-1) for a in arguments]
    results = [np.zeros(function.nnz_out(i)) for i in range(function.n_out())]
    for i, array in enumerate(given):
        buffer.set_arg(i, memoryview(array))
    for i, array in enumerate(results):
        buffer.set_res(i, memoryview(array))

    def call(_keep: tuple[object, ...] = (buffer, given, results)) -> None:
        trigger()

    return call


def casadi_calls(functions: Mapping[str, ca.Function], x: np.ndarray, rf: object) -> Calls:
    """Make the calls of a nonlinear program's functions, as IPOPT does."""
    return {
        "action": caller(functions["nlp_f"], x, rf),
        "gradient": caller(functions["nlp_grad_f"], x, rf),
        "Hessian": caller(functions["nlp_hess_l"], x, rf, 1.0, np.zeros(0)),
    }


def measure(size: Size) -> list[Row]:
    """All rows of the section."""
    pin()
    action = lorenz96(size.D, size.measured)
    data = observations(action, size.steps)
    problem, kernels = action.bind(data), action.compile().machine
    path, theta = first_point(problem, 0)
    x, rf = np.append(path, theta), np.ones(size.D)
    evaluator = kernels.at(problem)
    program, twin = direct(kernels, problem), twin_of(size, data)
    value = ca.Function("nlp_f", [program.nlp["x"], program.nlp["p"]], [program.nlp["f"]])
    interpreted = virtual_machine(twin, {})
    with tempfile.TemporaryDirectory() as folder:
        exported = str(export(twin, Path(folder), "-O2"))
        names = ("nlp_f", "nlp_grad_f", "nlp_hess_l")
        machines: dict[str, Calls] = {
            "called from Python": {
                "action": lambda: evaluator.action(path, theta, rf),
                "gradient": lambda: evaluator.gradient(path, theta, rf),
                "Hessian": lambda: evaluator.hessian(path, theta, rf),
            },
            "as IPOPT calls it": casadi_calls(
                {
                    "nlp_f": value,
                    "nlp_grad_f": program.derivatives["grad_f"],
                    "nlp_hess_l": program.derivatives["hess_lag"],
                },
                x,
                # symda's programs are given Rf of each state and the unknowns' sizes
                np.concatenate([rf, np.ones(x.size)]),
            ),
            "CasADi virtual machine": casadi_calls(
                {name: interpreted.get_function(name) for name in names}, x, 1.0
            ),
            "CasADi's C export": casadi_calls(
                {name: ca.external(name, exported) for name in names}, x, 1.0
            ),
        }
        times = {
            machine: [milliseconds(calls[quantity]) for quantity in QUANTITIES]
            for machine, calls in machines.items()
        }
    return rows(times, jax_times(twin, path, float(theta[0])), size.D == STANDARD.D)


def jax_times(twin: Twin, path: np.ndarray, nu: float) -> list[float]:
    """Milliseconds of JAX's action, gradient and Hessian blocks; empty without JAX."""
    if library("jax") is None:
        return []
    from baseline_jax import calls

    made = calls(twin, path, nu, 1.0)
    for call in made.values():
        call()  # compiles
    return [milliseconds(made[quantity]) for quantity in QUANTITIES]


def rows(times: Mapping[str, list[float]], jitted: list[float], real: bool) -> list[Row]:
    """Set each of symda's two ways of being called against those called alike."""
    python, ours, *others = times
    alike = [(python, "JAX, jitted", jitted)] if jitted else []
    alike += [(ours, other, times[other]) for other in others]
    made = []
    if not jitted:
        made += [
            Row(SECTION, f"{quantity}, {python}", "ms", value)
            for quantity, value in zip(QUANTITIES, times[python], strict=True)
        ]
    for way, other, values in alike:
        made += [
            Row(SECTION, f"{quantity}, {way}", "ms", value, other, theirs, main=way == python)
            for quantity, value, theirs in zip(QUANTITIES, times[way], values, strict=True)
        ]
    made += [
        Row(
            SECTION,
            f"sum, {way}",
            "ms",
            sum(times[way]),
            other,
            sum(values),
            at_most=1.0 if real and way == ours else None,
            main=True,
        )
        for way, other, values in alike
    ]
    return made


if __name__ == "__main__":
    hand_over(measure(section_size()))
