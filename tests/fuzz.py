"""Try random inputs against independent answers: `python tests/fuzz.py --seconds 60 --seed 0`.

Each kind of input is a function of a random generator that raises `Finding` for a wrong answer.
Bad input has to end in a `SymdaError`, so any other exception is a finding as well. A finding is
printed with what repeats it; the exit status is 1 if there was one.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import math
import os
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import sympy as sp
from fuzz_inputs import files, names, options
from fuzz_models import Finding, Precise, Rng, Unfit, draw, pick

import symda as sd
from symda.api.anneal import preflight
from symda.solve import SOLVERS, judge

SCHEMES = ("rk4", "trapezoid", "midpoint", "hermite-simpson", "gauss4", "euler")


def bound(rng: Rng, depth: int = 3, steps: int = 2) -> tuple[Any, sd.Action, Any, str]:
    """Draw a model, an action and a small problem of it."""
    drawn = draw(rng, depth=depth, discrete=bool(rng.random() < 0.15))
    scheme = None if drawn.model.discrete else pick(rng, *SCHEMES)
    together = _correlations(rng.spawn(1)[0], len(drawn.model.states))
    action = sd.Action(
        drawn.model, drawn.measured, scheme=scheme, model_error=pick(rng, "step", "step", "rate")
        if not drawn.model.discrete else "step", error_correlations=together,
    )  # fmt: skip
    h = 1.0 if drawn.model.discrete else drawn.unit * 10.0 ** rng.uniform(-2, 0)
    times = h * np.arange(steps + 1.0)
    sizes = [
        max(abs(v) for v in f.declaration.start) if f in drawn.model.states else 1.0
        for f in action.measurement.functions
    ]
    values = rng.normal(size=(steps + 1, len(sizes))) * sizes
    values[rng.random(values.shape) < 0.2] = np.nan
    values[0, 0] = sizes[0]
    variance = (np.array(sizes) * 10.0 ** rng.uniform(-3, 0)) ** 2
    forcing = {
        u.name: sd.Samples(times, rng.normal(size=times.size), pick(rng, "linear", "hold"))
        for u in drawn.model.forcing
    }
    data = sd.Observations(times, values, variance=variance, forcing=forcing)
    text = drawn.program(
        f"action = sd.Action(model, measured, scheme={scheme!r}, "
        f"model_error={action.model_error!r}, error_correlations={together})",
        f"data = sd.Observations({times.tolist()}, {values.tolist()}, "
        f"variance={variance.tolist()}, forcing={_samples(forcing)})",
    )
    return drawn, action, data, text


def _correlations(rng: Rng, D: int) -> list[list[float]] | None:
    """Draw correlations of the states' errors, mostly none."""
    if D < 2 or rng.random() < 0.7:
        return None
    root = rng.normal(size=(D, D))
    covariance = root @ root.T + 0.1 * np.eye(D)
    s = np.sqrt(np.diag(covariance))
    found: list[list[float]] = (covariance / np.outer(s, s)).tolist()
    return found


def _samples(forcing: dict[str, sd.Samples]) -> str:
    parts = [
        f"{name!r}: sd.Samples({s.times.tolist()}, {s.values.tolist()}, {s.rule!r})"
        for name, s in forcing.items()
    ]
    return "{" + ", ".join(parts) + "}"


def derivatives(rng: Rng) -> None:
    """Action, gradient and Hessian against mpmath's differences in 60 digits."""
    drawn, action, data, text = bound(rng)
    problem = action.bind(data)
    evaluator = action.compile().machine.at(problem)
    states = np.array([drawn.sizes[s] for s in drawn.model.states])
    theta = np.array([drawn.sizes.get(p, 1.0) for p in action.parameters])
    sizes = np.concatenate([np.tile(states, problem.M), theta])
    x = sizes * rng.normal(size=sizes.size) * pick(rng, 1.0, 1.0, 10.0, 100.0)
    if rng.random() < 0.2:
        x[rng.random(x.size) < 0.3] = 0.0
    rf = 10.0 ** rng.uniform(-2, 4) / states**2
    exact = Precise(action, problem, rf)
    v = sizes * rng.normal(size=sizes.size)
    found = exact.slopes(x, v)
    if found is None:
        raise Unfit

    def at(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        X, values = z[: states.size * problem.M].reshape(problem.M, -1), z[-theta.size :]
        values = z[states.size * problem.M :]
        value, gradient = evaluator.value_and_gradient(X, values, rf)
        bent = evaluator.hessian(X, values, rf) @ v
        got = np.array([value, gradient @ v, v @ bent])
        size = np.array([abs(value), np.abs(gradient) @ np.abs(v), np.abs(v) @ np.abs(bent)])
        return got, size

    got, size = at(x)
    with np.errstate(all="ignore"):
        # what rounding of the input alone makes of it
        shaken = [at(x * (1.0 + 4e-16 * rng.normal(size=x.size)))[0] for _ in range(4)]
        blur = np.max([np.abs(s - got) for s in shaken], axis=0)
        allowed = 1e-8 * np.maximum(size, np.abs(found)) + 1e3 * np.where(
            np.isfinite(blur), blur, 0.0
        )
        off = np.abs(got - np.array(found))
    if max(map(abs, found)) > 1e290 or (np.isinf(got).any() and np.abs(found).max() > 1e150):
        raise Unfit
    if not (off <= allowed).all():
        names = ("action", "slope", "curvature")
        wrong = {n: (g, f) for n, g, f, o, a in zip(names, got, found, off, allowed, strict=True)
                 if not o <= a}  # fmt: skip
        n = states.size * problem.M
        raise Finding(
            f"(got, exact): {wrong}\n{text}\nX, theta = {x[:n].reshape(problem.M, -1).tolist()}, "
            f"{x[n:].tolist()}\nv, rf = {v.tolist()}, {rf.tolist()}"
        )


def machines(rng: Rng) -> None:
    """The compiled kernels against CasADi's virtual machine; seldom, since compiling takes time."""
    if os.environ.get("SYMDA_CC") == "none" and "FUZZ_CC" not in os.environ:
        raise Unfit
    _, action, data, text = bound(rng)
    known = action.specification.correlations
    again = sd.Action(
        action.model, list(action.measurement.functions), scheme=action.scheme.name,
        model_error=action.model_error,
        error_correlations=known.matrix if known is not None else None,
    )  # fmt: skip
    problem = action.bind(data)
    virtual = action.compile().machine.at(problem)
    with uncompiled(False):
        compiled = again.compile().machine.at(problem)
    X = np.abs(problem.state_start).max(axis=1) * rng.normal(size=(problem.M, problem.D))
    theta, rf = problem.typical * rng.normal(size=problem.P), np.full(problem.D, 1.0)
    one, two = (
        (e.value_and_gradient(X, theta, rf), e.hessian(X, theta, rf).toarray())
        for e in (virtual, compiled)
    )
    if not (math.isfinite(one[0][0]) or math.isfinite(two[0][0])):
        raise Unfit
    for a, b in ((one[0][0], two[0][0]), (one[0][1], two[0][1]), (one[1], two[1])):
        scale = float(np.max(np.abs(np.nan_to_num(a, posinf=0.0, neginf=0.0)), initial=1e-300))
        same = np.isclose(a, b, rtol=1e-8, atol=1e-8 * scale, equal_nan=True)
        if not same.all():
            raise Finding(f"virtual {a} compiled {b}\n{text}\nX = {X.tolist()}, {theta.tolist()}")


@contextlib.contextmanager
def uncompiled(yes: bool) -> Any:
    before = os.environ.pop("SYMDA_CC", None)
    if yes:
        os.environ["SYMDA_CC"] = "none"
    elif os.environ.get("FUZZ_CC"):
        os.environ["SYMDA_CC"] = os.environ["FUZZ_CC"]
    try:
        yield
    finally:
        os.environ.pop("SYMDA_CC", None)
        if before is not None:
            os.environ["SYMDA_CC"] = before


def simulated(rng: Rng) -> None:
    """Adaptive steps against SciPy in units of order one, between the jumps of a held forcing."""
    from scipy.integrate import solve_ivp

    D = int(rng.integers(1, 4))
    sizes = 10.0 ** rng.integers(-12, 13, size=D).astype(float)
    unit = 10.0 ** float(rng.integers(-9, 10))
    x, u = sd.states("x", D), sd.forcing("u")
    A = rng.normal(size=(D, D)) - 2.0 * np.eye(D)
    B, c = rng.normal(size=D), rng.normal(size=D)
    stiff = 10.0 ** float(pick(rng, 0, 0, 0, 4))
    A[-1, -1] *= stiff
    model = sd.Model(
        {
            x[a]: float(sizes[a] / unit)
            * (
                sum(float(A[a, b]) * x[b] / float(sizes[b]) for b in range(D))
                + float(B[a]) * sp.tanh(x[(a + 1) % D] / float(sizes[(a + 1) % D]))
                + float(c[a]) * u
            )
            for a in range(D)
        },
        name="fuzz",
    )
    T = int(rng.integers(2, 8))
    times = np.concatenate([[0.0], np.cumsum(rng.uniform(0.1, 2.0, size=T))])
    jumps = np.concatenate([[0.0], np.sort(rng.uniform(0.0, times[-1], size=3)), times[-1:]])
    levels = rng.normal(size=5)
    start = rng.normal(size=D)
    compiled = bool(rng.random() < 0.5)
    solve = (
        partial(sd.integrate, method="adaptive", sensitivities=True) if compiled else sd.simulate
    )
    found = solve(
        model, times * unit, start * sizes,
        forcing={"u": sd.Samples(jumps * unit, levels, "hold")},
    )  # fmt: skip
    got = found.states.values / sizes
    state, right = start, [start]
    every = np.union1d(times, jumps)
    for left, end in itertools.pairwise(every):
        level = levels[np.searchsorted(jumps, left, "right") - 1]

        def rate(t: float, v: np.ndarray, level: float = level) -> np.ndarray:
            return np.asarray(A @ v + B * np.tanh(np.roll(v, -1)) + c * level)

        solved = solve_ivp(rate, (left, end), state, "Radau" if stiff > 1 else "DOP853",
                           rtol=1e-8 if stiff > 1 else 1e-11, atol=1e-12)  # fmt: skip
        state = solved.y[:, -1]
        if end in times:
            right.append(state)
    off = float(np.abs(got - np.array(right)).max() / np.abs(right).max())
    if not off < (1e-5 if stiff > 1 else 1e-6):
        raise Finding(
            f"{'integrate' if compiled else 'simulate'} is off by {off:.2g}: "
            f"sizes {sizes.tolist()}, unit {unit}, A {A.tolist()}, "
            f"B {B.tolist()}, c {c.tolist()}, times {times.tolist()}, jumps {jumps.tolist()}, "
            f"levels {levels.tolist()}, start {start.tolist()}"
        )


def minima(rng: Rng) -> str | None:
    """End points of the three solvers, each handed to the other two; return what disagrees."""
    _, action, data, text = bound(rng, depth=2, steps=int(rng.integers(3, 6)))
    expressions = [*action.model.equations, *action.measurement.functions]
    if any(e.has(sp.Heaviside, sp.Piecewise, sp.Abs, sp.Max, sp.Min) for e in expressions):
        raise Unfit  # at a jump or a kink each solver ends where it is, and says so
    problem = action.bind(data)
    kernels = action.compile().machine
    preflight.warn(action.field, kernels.at(problem), np.ones((1, problem.D)), stacklevel=2)
    one = judge(kernels.at(problem))
    states = np.abs(problem.state_start).max(axis=1)
    rf = 10.0 ** rng.uniform(0, 4) / states**2
    X = np.clip(states * rng.normal(size=(problem.M, problem.D)), *problem.state_bounds.T)
    theta = np.clip(rng.uniform(*problem.parameter_start.T), *problem.parameter_bounds.T)
    if not math.isfinite(kernels.at(problem).action(X, theta, rf)):
        raise Unfit
    few = {"newton": {"max_iter": 100}, "ipopt": {"max_iter": 100}, "lbfgs": {"maxfun": 500}}
    solvers = {name: SOLVERS[name].with_options(**few[name]).at(kernels, problem) for name in few}
    ends = {name: solver.minimise(X, theta, rf) for name, solver in solvers.items()}
    wrong = []
    for name, end in ends.items():
        if not math.isfinite(end.action):
            continue
        there = one.at(end.path, end.theta, rf)
        if name == "newton" and end.status == "converged" and not there.minimum:
            wrong.append(f"newton calls a minimum what is none: {there.words(problem)}")
        if not there.minimum:
            continue
        # a hundredth of what tells levels apart, or a share of a small action
        allowed = max(10.0 * there.tolerance, min(1e-4, 1e-4 * abs(end.action)))
        for other in sorted(set(solvers) - {name}):
            again = solvers[other].minimise(end.path, end.theta, rf)
            if again.action >= end.action - allowed:
                continue  # nothing below, or it lost its way
            # downhill all the way, and not over a ridge into another valley
            way = [
                kernels.at(problem).action(
                    end.path + c * (again.path - end.path),
                    end.theta + c * (again.theta - end.theta),
                    rf,
                )
                for c in np.linspace(0.0, 1.0, 21)[1:] ** 2
            ]
            if not max(way) > end.action + 0.01 * allowed:
                wrong.append(
                    f"{other} from a minimum of {name}: action {end.action:.12g} -> "
                    f"{again.action:.12g} ({again.status}, {again.message})"
                )
    if not wrong:
        return None
    return (
        "; ".join(wrong) + f"\n{text}\nX, theta, rf = {X.tolist()}, {theta.tolist()}, {rf.tolist()}"
    )


def solvers(rng: Rng) -> None:
    """The solvers agree on which end points are minima."""
    wrong = minima(rng)
    if wrong:
        raise Finding(wrong)


KINDS: dict[str, tuple[Callable[[Rng], None], float]] = {
    "derivatives": (derivatives, 4.0),
    "solvers": (solvers, 2.0),
    "simulate": (simulated, 1.0),
    "options": (options, 1.0),
    "files": (files, 1.0),
    "names": (names, 1.0),
    "compiled": (machines, 1.0),
}


#: Seconds after which an input counts as one that never ends.
TIME_LIMIT = 30


def _late(*_: Any) -> None:
    raise TimeoutError(f"no answer within {TIME_LIMIT} s")


def attempt(kind: str, seed: int) -> tuple[str, str]:
    """Try one input; return ``right``, ``refused``, ``unfit`` or ``wrong``, and what was found."""
    rng = np.random.default_rng([seed, *kind.encode()])
    signal.signal(signal.SIGALRM, _late)
    signal.alarm(TIME_LIMIT)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            with contextlib.redirect_stderr(io.StringIO()):
                KINDS[kind][0](rng)
        except Finding as found:
            return "wrong", str(found)
        except Unfit:
            return "unfit", ""
        except sd.SymdaError:
            return "refused", ""
        except Exception:
            return "wrong", traceback.format_exc()
        finally:
            signal.alarm(0)
    raw = [w for w in heard if issubclass(w.category, RuntimeWarning)]
    if raw:
        return "wrong", f"a raw warning: {raw[0].filename}:{raw[0].lineno}: {raw[0].message}"
    return "right", ""


def fuzz(seconds: float, seed: int, kinds: list[str]) -> tuple[Counter[str], list[str]]:
    """Try inputs for so long, time shared among kinds by their weights; return counts, findings."""
    spent = dict.fromkeys(kinds, 0.0)
    counts: Counter[str] = Counter()
    found: list[str] = []
    begun = time.monotonic()
    numbers = dict.fromkeys(kinds, seed * 1_000_000)
    while time.monotonic() - begun < seconds:
        kind = min(kinds, key=lambda k: spent[k] / KINDS[k][1])
        started = time.monotonic()
        what, text = attempt(kind, numbers[kind])
        spent[kind] += time.monotonic() - started + 1e-3
        counts[kind] += 1
        counts[f"{kind} {what}"] += 1
        if what == "wrong":
            found.append(f"--- {kind}, repeat with --kind {kind} --only {numbers[kind]}\n{text}")
            sys.stdout.write(found[-1] + "\n")
            sys.stdout.flush()
        numbers[kind] += 1
    return counts, found


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=KINDS, action="append")
    parser.add_argument("--only", type=int, help="the number of one input, printed with a finding")
    given = parser.parse_args()
    kinds = given.kind or list(KINDS)
    os.environ["FUZZ_CC"] = os.environ.get("SYMDA_CC", "")
    os.environ["SYMDA_CC"] = "none"
    if given.only is not None:
        for kind in kinds:
            sys.stdout.write(" ".join([kind, *attempt(kind, given.only)]) + "\n")
        return 0
    counts, found = fuzz(given.seconds, given.seed, kinds)
    words = []
    for kind in kinds:
        parts = [f"{counts[f'{kind} {w}']} {w}" for w in ("wrong", "refused", "unfit")]
        words.append(f"{kind} {counts[kind]} ({', '.join(parts)})")
    total = sum(counts[k] for k in kinds)
    sys.stdout.write(f"{total} inputs, {len(found)} findings: {'; '.join(words)}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
