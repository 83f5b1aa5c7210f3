"""Random models for `fuzz.py`, and their action in as many digits as one asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
import sympy as sp

import symda as sd
from symda.discretise import step_residual
from symda.observe import Problem


class Finding(Exception):  # noqa: N818
    """A wrong answer, and the program that gives it."""


class Unfit(Exception):  # noqa: N818
    """An input that says nothing, as a model without a value anywhere."""


Rng = np.random.Generator


def pick(rng: Rng, *choices: Any) -> Any:
    return choices[rng.integers(len(choices))]


#: Names that a language, a printer or a file format could trip over.
NAMES = (
    *("lambda", "x_1", "I", "E", "S", "N", "beta", "π", "x y", "x[0]", "a.b", "ü", "int", "double"),
    *("h", "theta", "rf", "t", "__x", "x__", "0x", "-", "class", "$x$", "<b>", "a&b", "%s", "{x}"),
    *("nan", "inf", "None", "x\\y", "a/b", "'", '"', "Δt", "x'", "time", "path", "x²", "∂"),
    "\U0001d6fc",
)


@dataclass(frozen=True, eq=False)
class Drawn:
    """A random model with what is measured, and the sizes of its symbols."""

    model: sd.Model
    measured: list[sp.Expr]
    sizes: dict[sp.Symbol, float]
    unit: float
    text: str

    def program(self, *further: str) -> str:
        return "\n".join([self.text, *further])


def expression(rng: np.random.Generator, leaves: Sequence[sp.Expr], depth: int) -> sp.Expr:
    """Draw nested functions; most arguments are kept where the functions are defined."""
    if depth == 0 or rng.random() < 0.15:
        if rng.random() < 0.15:
            return sp.Float(round(float(rng.normal()), 2))
        return leaves[rng.integers(len(leaves))]

    def inner() -> sp.Expr:
        return expression(rng, leaves, depth - 1)

    def positive() -> sp.Expr:
        a = inner()
        return a if rng.random() < 0.2 else (a**2 + sp.Rational(1, 4), sp.exp(a), sp.Abs(a))[
            rng.integers(3)
        ]  # fmt: skip

    a = inner()
    one: list[Callable[[], sp.Expr]] = [
        *(lambda f=f: f(a) for f in (sp.sin, sp.cos, sp.tanh, sp.atan, sp.erf, sp.exp, sp.Abs)),
        *(lambda f=f: f(a) for f in (sp.sinh, sp.cosh, sp.sech, sp.sinc, sd.exprel, sp.asinh)),
        lambda: sp.log(positive()),
        lambda: sp.sqrt(positive()),
        lambda: 1 / (1 + sp.exp(-a / sp.Float(10.0 ** rng.integers(-3, 1)))),
        lambda: sp.log(1 + sp.exp(a * 10 ** int(rng.integers(0, 4)))),
        lambda: a ** int(rng.integers(2, 5)),
        lambda: positive() ** inner(),
        lambda: positive() ** sp.Float(round(float(rng.uniform(-2, 3)), 1)),
    ]
    two: list[Callable[[], sp.Expr]] = [
        *(lambda: a + inner(), lambda: a - inner(), lambda: a * inner(), lambda: a * inner()),
        lambda: a / positive(),
        lambda: a / (sp.Float(0.5) + inner() ** 2),
        lambda: sp.Max(a, inner()),
        lambda: sp.Min(a, inner(), sp.Float(0.3)),
        lambda: sp.Piecewise((a, inner() > inner()), (inner(), True)),
        lambda: sp.Piecewise((a, inner() < 0), (inner(), inner() > 1), (inner(), True)),
        lambda: sp.atan2(a, inner()),
        lambda: sp.Heaviside(a, 0) * inner(),
        lambda: positive() ** 2 / (positive() + positive() ** 2),
    ]
    pool = one if rng.random() < 0.5 else two
    return pool[rng.integers(len(pool))]()


def draw(
    rng: np.random.Generator, *, depth: int = 3, discrete: bool = False, states: int = 3
) -> Drawn:
    """Draw a model; raises `ModelError` where the expressions are none of a model."""
    D, P, U = int(rng.integers(1, states + 1)), int(rng.integers(0, 4)), int(rng.integers(0, 2))
    wide = rng.random() < 0.5
    size = (lambda: float(10.0 ** rng.integers(-12, 13))) if wide else (lambda: 1.0)
    unit = size()
    x = [sd.state(f"x{a}", start=(-2.0, 2.0)) for a in range(D)]
    p = [sd.parameter(f"p{i}", start=(0.5, 1.5), bounds=(-5.0, 5.0)) for i in range(P)]
    sizes = {s: size() for s in [*x, *p]}
    x = [sd.state(s.name, start=(-2 * sizes[s], 2 * sizes[s])) for s in x]
    p = [
        sd.parameter(
            s.name, start=(0.5 * sizes[s], 1.5 * sizes[s]), bounds=(-5 * sizes[s], 5 * sizes[s])
        )
        for s in p
    ]
    sizes = dict(zip([*x, *p], sizes.values(), strict=True))
    t = sd.time("t")
    forced = [sd.forcing(f"u{j}") for j in range(U)]
    leaves = [*(s / sp.Float(sizes[s]) for s in [*x, *x, *p]), *forced]
    if rng.random() < 0.3:
        leaves.append(t / sp.Float(unit))
    rates = [expression(rng, leaves, int(rng.integers(1, depth + 1))) for _ in x]
    equations = {
        s: sp.Float(sizes[s] / (1.0 if discrete else unit)) * r
        for s, r in zip(x, rates, strict=True)
    }
    model = sd.Model(equations, name="fuzz", discrete=discrete)
    measured: list[sp.Expr] = list(x[: int(rng.integers(1, D + 1))])
    if rng.random() < 0.3:
        measured[0] = expression(rng, [s / sp.Float(sizes[s]) for s in [*x, *p]], 2)
        if not measured[0].free_symbols & set(x):
            measured[0] += x[0]
    declared = "\n".join(
        f"{s.name} = sd.{kind}({s.name!r}, start={s.declaration.start})"
        for kind, some in (("state", x), ("parameter", p))
        for s in some
    )
    text = (
        f"import symda as sd\nfrom sympy import *\nfrom symda import exprel\n{declared}\n"
        + "".join(f"{u.name} = sd.forcing({u.name!r})\n" for u in forced)
        + f"t = sd.time('t')\nmodel = sd.Model({equations}, name='fuzz', discrete={discrete})\n"
        + f"measured = {measured}"
    )
    return Drawn(model, measured, sizes, unit, text)


def _sinc(x: Any) -> Any:
    return mpmath.sin(x) / x if x else mpmath.mpf(1)


def _exprel(x: Any) -> Any:
    return mpmath.expm1(x) / x if x else mpmath.mpf(1)


def _heaviside(x: Any, middle: Any = 0.5) -> Any:
    return mpmath.mpf(x > 0) if x else mpmath.mpf(middle)


def _real(x: Any) -> Any:
    if isinstance(x, mpmath.mpc):
        raise TypeError  # complex on the way, however real it may end
    return x


def _log(x: Any) -> Any:
    if _real(x) <= 0:
        raise ZeroDivisionError  # infinite on the way: nothing is asked of what comes of it
    return mpmath.log(x)


def _sqrt(x: Any) -> Any:
    if _real(x) < 0:
        raise TypeError
    return mpmath.sqrt(x)


def _atan2(y: Any, x: Any) -> Any:
    if x == 0 and y == 0:
        raise ZeroDivisionError  # no value has a limit there
    return mpmath.atan2(y, x)


PRECISE = {
    "log": _log,
    "sqrt": _sqrt,
    "atan2": _atan2,
    "sinc": _sinc,
    "exprel": _exprel,
    "Heaviside": _heaviside,
    "Max": max,
    "Min": min,
    "Abs": lambda x: abs(_real(x)),
    "sign": mpmath.sign,
}


class Precise:
    """The action of eq. 10 with mpmath's numbers, and derivatives along directions.

    Scheme and sums are those of the definition; the expressions are evaluated by mpmath as SymPy
    holds them. Nothing of CasADi or of the rules for limits takes part.
    """

    def __init__(self, action: sd.Action, problem: Problem, rf: np.ndarray) -> None:
        model = action.model
        t = model.time or sp.Symbol("t")
        theta = list(action.parameters)
        modules = [PRECISE, "mpmath"]
        self._F = sp.lambdify(
            [*model.states, *theta, *model.forcing, t], list(model.equations), modules
        )
        self._h = sp.lambdify([*model.states, *theta], list(action.measurement.functions), modules)
        self._action, self._problem, self._rf = action, problem, rf
        with mpmath.workdps(60):
            known = mpmath.matrix(problem.correlations or np.eye(problem.D).tolist())
            self._coupling = known**-1

    def __call__(self, z: Sequence[Any]) -> Any:
        p, scheme = self._problem, self._action.scheme
        D, E, count = p.D, p.E, p.M * p.D
        flat, theta = z[:count], z[count:]
        number = mpmath.mpf
        total = number(0)
        for n in range(p.N):
            window = [flat[i : i + D] for i in range(n * E, n * E + E + 1, D)]

            def slope(i: int, x: Sequence[Any], n: int = n) -> list[Any]:
                when = number(p.node_times[n]) + number(float(scheme.c[i])) * number(p.h[n])
                u = [number(v) for v in p.u[n, scheme.slot(i)]]
                return list(self._F(*x, *theta, *u, when))

            rest = step_residual(scheme, slope, window, number(p.h[n]), lambda c: number(float(c)))
            roots = [mpmath.sqrt(number(self._rf[e % D])) * r for e, r in enumerate(rest)]
            for e, r in enumerate(roots):
                others = range(e - e % D, e - e % D + D) if p.correlations else [e]
                for f in others:
                    total += r * roots[f] * number(p.weight[n]) * self._coupling[e % D, f % D] / 2
        for m in range(p.M):
            seen = np.flatnonzero(p.rm[m])
            if seen.size:
                h = self._h(*flat[m * D : m * D + D], *theta)
                for l in seen:
                    total += (h[l] - number(p.y[m, l])) ** 2 * number(p.rm[m, l]) / 2
        return total

    def slopes(self, x: np.ndarray, v: np.ndarray) -> tuple[float, float, float] | None:
        """Value, first and second derivative along v; None where it is not smooth or not real."""
        with mpmath.workdps(60):
            values = []
            for step in (-2, -1, 0, 1, 2):
                e = mpmath.mpf(step) * mpmath.mpf(10) ** -15
                z = [mpmath.mpf(a) + e * mpmath.mpf(b) for a, b in zip(x, v, strict=True)]
                try:
                    value = self(z)
                except (ArithmeticError, TypeError, ValueError, TimeoutError, MemoryError):
                    return None  # a pole, complex numbers in a comparison, exp(exp(1e3))
                if not isinstance(value, mpmath.mpf) or not mpmath.isfinite(value):
                    return None
                values.append(value)
            e = mpmath.mpf(10) ** -15
            a, b, c, d, f = values
            left, right = (c - b) / e, (d - c) / e
            narrow = (b - 2 * c + d) / (e * e)
            before, after = (a - 2 * b + c) / (e * e), (c - 2 * d + f) / (e * e)
            three = (before, narrow, after)
            bent = max(three) - min(three) > 1e-6 * (abs(before) + abs(after))
            if abs(c) > 1e30 or bent or abs(left - right) > 1e-6 * (abs(left) + abs(right)):
                return None  # a kink, or beyond the digits
            return float(c), float((d - b) / (2 * e)), float(narrow)
