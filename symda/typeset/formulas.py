"""The step of a scheme and its derivatives, written with slopes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import sympy as sp
from sympy import Expr

from symda.discretise import Number, Scheme, Surd, step_residual
from symda.discretise.surd import shown
from symda.typeset.display import Line
from symda.typeset.notation import Mark, Notation, at, partial

IDENTITY = Mark("Id", r"\mathbf{1}")


@dataclass(frozen=True)
class StepNotation:
    """Names of what occurs in one step of a scheme."""

    scheme: Scheme
    notation: Notation

    @property
    def interior(self) -> tuple[Mark, ...]:
        """The interior points of step n."""
        notation, count = self.notation, len(self.scheme.interior)
        if count == 1:
            return (notation.vector("m"),)
        name, latex, n = notation["m"], notation.bold("m"), notation["n"]
        return tuple(Mark(f"{name}{i}[{n}]", f"{latex}_{{{i},{n}}}") for i in range(1, count + 1))

    @property
    def points(self) -> tuple[Mark, ...]:
        """x_n, the interior points, x_{n+1}: the window of step n."""
        return self.notation.vector("x"), *self.interior, self.notation.vector("x", 1)

    @property
    def residuals(self) -> tuple[Mark, ...]:
        """The blocks of the residual of step n: of the step, then one for each interior point."""
        n = self.notation["n"]
        if not self.interior:
            return (self.notation.vector("r"),)
        count = len(self.interior)
        ties = [("", "")] if count == 1 else [(str(i), f"{i},") for i in range(1, count + 1)]
        step, tie = self.notation.vector("S"), self.notation["H"]
        latex = self.notation.bold("H")
        return step, *(Mark(f"{tie}{i}[{n}]", f"{latex}_{{{j}{n}}}") for i, j in ties)

    def on_grid(self, stage: int) -> bool:
        """Whether a stage is evaluated at a grid point."""
        scheme = self.scheme
        if scheme.partitioned:
            return False
        return stage in scheme.interior or (not any(scheme.X[stage]) and scheme.v[stage] in (0, 1))

    def slope(self, stage: int) -> Mark:
        """Name of a stage's slope: F at a grid point where all are, else k."""
        return self._of_stage("F", "", stage)

    def field(self, stage: int) -> str:
        """Name of F, or of that part of it which a stage moves."""
        name = self.notation["f" if self.scheme.discrete else "F"]
        return f"{name}_{self.scheme.parts[stage]}" if self.scheme.partitioned else name

    def jacobian(self, stage: int) -> Mark:
        """Name of dF/dx at a stage."""
        return self._of_stage("F", "D", stage)

    def by_parameters(self, stage: int) -> Mark:
        """Name of dF/dtheta at a stage."""
        return self._of_stage("F", "Dtheta", stage)

    def _of_stage(self, letter: str, prefix: str, stage: int) -> Mark:
        notation, scheme = self.notation, self.scheme
        letter = "f" if scheme.discrete else letter
        n = notation["n"]
        operator = {"": "", "D": r"\mathrm{D}", "Dtheta": r"\mathrm{D}_{\theta}"}[prefix]
        latex = operator + notation.bold(letter)
        name = prefix + notation[letter]
        if not all(self.on_grid(i) for i in range(scheme.stages)):
            if prefix:
                part = f"{scheme.parts[stage]}," if scheme.partitioned else ""
                name = prefix + self.field(stage)
                return Mark(f"{name}_{stage + 1}", f"{latex}_{{{part}{stage + 1}}}")
            name = notation["k"]
            return Mark(f"{name}{stage + 1}", rf"{notation.bold('k')}_{{{stage + 1}}}")
        if stage in scheme.interior:
            at_point = self.interior[scheme.interior.index(stage)]
            point = at_point.name.removesuffix(f"[{n}]")
            number = point.removeprefix(notation["m"])
            lower = f"m{number}," if number else "m,"
            return Mark(f"{name}_{point}[{n}]", f"{latex}_{{{lower}{n}}}")
        return at(name, latex, notation.shifted(round(float(scheme.v[stage]))))


def residual_lines(step: StepNotation) -> tuple[Line, ...]:
    """Return the slopes and the residual of one step.

    Returns
    -------
    tuple of Line
        Definitions of the slopes, then a line for each block of the residual.
    """
    scheme, notation = step.scheme, step.notation
    points = step.points
    basis = (*step.interior, points[0], points[-1])
    slopes: list[Line] = []
    every = {step.slope(stage) for stage in range(scheme.stages)}
    current, following = notation.vector("F"), notation.vector("F", 1)

    def slope(stage: int, argument: Sequence[Expr]) -> list[Expr]:
        name = step.slope(stage)
        place = _combination(argument[0], (*basis, *_by_abscissa(step, step.slope)), notation.h)
        value = notation.call(step.field(stage), place, _moment(scheme.c[stage], notation))
        if scheme.discrete:
            return [value]
        # F[n+1] is F[n], one step on.
        if name != following or current not in every:
            slopes.append(Line(name, value, ordered=True))
        return [name]

    residual = _compose(step, slope, points)
    order = (*basis, *_by_abscissa(step, step.slope))
    if scheme.discrete:
        value = notation.call(step.field(0), points[0], _moment(Fraction(0), notation))
        order = (*basis, value)
    lines = [
        Line(block, _combination(value, order, notation.h), ordered=True)
        for block, value in zip(step.residuals, residual, strict=True)
    ]
    return *slopes, *lines


def derivative_lines(step: StepNotation, *, parameters: bool) -> tuple[Line, ...]:
    """Return the derivatives of the step's residual by its window and the parameters.

    Parameters
    ----------
    parameters : bool
        Whether the field has parameters.
    """
    notation = step.notation
    unknowns: list[Mark] = list(step.points)
    if parameters:
        unknowns.append(notation.vector("theta", None))
    lines: list[Line] = []
    for unknown in unknowns:
        lines += _derivative_by(step, unknown)
    return tuple(lines)


def _derivative_by(step: StepNotation, unknown: Mark) -> list[Line]:
    """Differentiate as the scheme composes: forward, one stage after the other."""
    notation = step.notation
    by = (unknown.name, unknown.latex)
    by_theta = unknown == notation.vector("theta", None)
    names: list[Expr] = []
    lines: list[Line] = []

    def slope(stage: int, argument: Sequence[Expr]) -> list[Expr]:
        jacobian = step.jacobian(stage)
        inner = _combination(argument[0], (IDENTITY, *names), notation.h)
        value: Expr = step.by_parameters(stage) if by_theta else sp.S.Zero
        if inner == IDENTITY:
            value = jacobian
        elif inner.is_Add:
            value = sp.Mul(jacobian, inner, evaluate=False)
        elif inner != 0:
            scale, (vector,) = inner.args_cnc()
            product = [jacobian] if vector == IDENTITY else [jacobian, vector]
            change = sp.Mul(*scale, *product)
            value = sp.Add(value, change, evaluate=False) if by_theta else change
        if value == 0:
            return [value]
        vectors = value.args_cnc()[1]
        if not value.is_Add and len(vectors) == 1 and not vectors[0].is_Add:
            names.extend(vectors)
            return [value]
        slope_name = step.slope(stage)
        name = partial((slope_name.name, slope_name.latex), by)
        names.append(name.bracketed)
        lines.append(Line(name, value, ordered=True))
        return [name.bracketed]

    window = [IDENTITY if point == unknown else sp.S.Zero for point in step.points]
    residual = _compose(step, slope, window)
    ranked = [mark for mark in _by_abscissa(step, step.by_parameters) if mark in names]
    order = (IDENTITY, *ranked, *names)
    for block, value in zip(step.residuals, residual, strict=True):
        left = partial((block.name, block.latex), by)
        right = _combination(value, order, notation.h)
        lines.append(Line(left, right, ordered=True))
    return lines


def _compose(
    step: StepNotation,
    slope: Callable[[int, Sequence[Expr]], Sequence[Expr]],
    window: Sequence[Expr],
) -> list[Expr]:
    """Compose one step of a model with a single component, which stands for all of them."""
    return step_residual(
        step.scheme,
        slope,
        [[point] for point in window],
        step.notation.h,
        exact,
    )


def exact(value: Number) -> Expr:
    """Return a coefficient of a tableau as SymPy's number, one of many digits as a decimal one."""
    if isinstance(value, Surd):
        return exact(value.rational) + exact(value.part) * sp.sqrt(value.radicand)
    readable = shown(value)
    if isinstance(readable, float):
        return sp.Float(readable, 16)
    return sp.Rational(value.numerator, value.denominator)


def _by_abscissa(step: StepNotation, name: Callable[[int], Mark]) -> tuple[Mark, ...]:
    return tuple(
        name(i) for i in sorted(range(step.scheme.stages), key=lambda i: float(step.scheme.c[i]))
    )


def _moment(c: Number, notation: Notation) -> Expr:
    start = notation.array("t")[notation.index("n")]
    if c == 0:
        return start
    length = sp.Mul(exact(c), notation.h)
    return sp.Add(start, length, evaluate=False)


def _combination(expression: Expr, basis: Sequence[Expr], h: Expr) -> Expr:
    """Write a linear combination as people do: x[n+1] - x[n] - h*(F[n] + F[n+1])/2."""
    plain: dict[Expr, Expr] = {}
    scaled: dict[Expr, Expr] = {}
    for term in sp.Add.make_args(sp.expand(expression)):
        if term == 0:
            continue
        factors, (vector,) = term.args_cnc()
        coefficient = sp.Mul(*factors)
        target = scaled if coefficient.has(h) else plain
        value = coefficient / h if coefficient.has(h) else coefficient
        target[vector] = target.get(vector, sp.S.Zero) + value
    order = {vector: position for position, vector in reversed(list(enumerate(basis)))}
    ranked = sorted(plain, key=order.__getitem__)
    unit = [vector for vector in ranked if plain[vector] in (1, -1)]
    terms = [vector for vector in unit if plain[vector] > 0]
    terms += [-vector for vector in unit if plain[vector] < 0]
    terms += _factored({v: plain[v] for v in ranked if v not in unit}, sp.S.One)
    terms += _factored({v: scaled[v] for v in sorted(scaled, key=order.__getitem__)}, h)
    return sp.Add(*terms, evaluate=False) if len(terms) != 1 else terms[0]


def _factored(coefficients: dict[Expr, Expr], scale: Expr) -> list[Expr]:
    """Take the common factor out of a sum of multiples."""
    if not coefficients:
        return []
    common = _common_factor(list(coefficients.values()))
    inner = [value / common * vector for vector, value in coefficients.items()]
    bracket = sp.Add(*inner, evaluate=False) if len(inner) > 1 else inner[0]
    factors = [factor for factor in (*common.as_coeff_Mul(), scale) if factor != 1]
    return [sp.Mul(*factors, bracket, evaluate=False) if factors else bracket]


def _common_factor(values: Sequence[Expr]) -> Expr:
    """Return what all coefficients are whole multiples of, with the sign of the first."""
    rationals, roots = zip(*(value.as_coeff_Mul() for value in values), strict=True)
    if len(set(roots)) > 1 or roots[0].is_Add or any(v.is_Float for v in rationals):
        return sp.Integer(1 if values[0] > 0 else -1)
    common = sp.Rational(math.gcd(*(v.p for v in rationals)), math.lcm(*(v.q for v in rationals)))
    return (-common if rationals[0] < 0 else common) * roots[0]
