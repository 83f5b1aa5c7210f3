"""Section "evaluate": one action, gradient and Hessian, compiled, interpreted and exported."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import casadi as ca
import numpy as np
from baseline_casadi import export, virtual_machine
from common import (
    SIZES,
    Row,
    Size,
    first_point,
    hand_over,
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

    def call(keep: tuple[object, ...] = (buffer, given, results)) -> None:
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
        library = str(export(twin, Path(folder), "-O2"))
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
                rf,
            ),
            "CasADi virtual machine": casadi_calls(
                {name: interpreted.get_function(name) for name in names}, x, 1.0
            ),
            "CasADi's C export": casadi_calls(
                {name: ca.external(name, library) for name in names}, x, 1.0
            ),
        }
        times = {
            machine: [milliseconds(calls[quantity]) for quantity in QUANTITIES]
            for machine, calls in machines.items()
        }
    python, ours, *others = times
    rows = [
        Row(SECTION, f"{quantity}, {python}", "ms", value)
        for quantity, value in zip(QUANTITIES, times[python], strict=True)
    ]
    for other in others:
        rows += [
            Row(SECTION, f"{quantity}, {ours}", "ms", value, other, theirs)
            for quantity, value, theirs in zip(QUANTITIES, times[ours], times[other], strict=True)
        ]
    target = 1.0 if size == SIZES["standard"] else None
    rows += [
        Row(SECTION, f"sum, {ours}", "ms", sum(times[ours]), other, sum(times[other]), target)
        for other in others
    ]
    return rows


if __name__ == "__main__":
    hand_over(measure(section_size()))
