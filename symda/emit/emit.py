"""`KernelIR` -> `Source`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING

from symda.discretise import Number
from symda.emit.format import Dialect, format_body, number
from symda.emit.source import PLACEHOLDER, Source
from symda.emit.stages import StageText, coefficient, combine, shifted, times
from symda.lower import KernelIR, Pattern, Stage
from symda.names import module_name
from symda.rendering import jinja_environment

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATE = "kernels.pyx.j2"

#: Text that would end a docstring or a C comment, or has a meaning there -> its replacement.
_SIGNS = {'"': "'", "\\": "/", "/*": "/ *", "*/": "* /", "??": "? ?"}
_SIGNS[PLACEHOLDER] = PLACEHOLDER.lower()


@cache
def environment() -> Environment:
    """Where templates are found, and how they are read."""
    made = jinja_environment()
    made.filters["number"] = number
    made.filters["array"] = _array
    made.filters["comment"] = _comment
    return made


def emit(ir: KernelIR) -> Source:
    """Write the Cython module of a problem.

    The text depends on `ir` and the templates only: no time, no paths, floats by ``repr``.
    """
    return render(
        ir,
        TEMPLATE,
        module_name(ir.model, ir.scheme),
        Dialect(),
        lanes=False,
        constant=coefficient,
        externals=externals(ir),
    )


def render(ir: KernelIR, template: str, stem: str, dialect: Dialect, **further: object) -> Source:
    """Write one module of a problem from a template.

    Parameters
    ----------
    ir : KernelIR
        The problem.
    template : str
        File in `templates/`.
    stem : str
        Module name without the digest.
    dialect : Dialect
        How the straight-line routines spell numbers.
    **further
        What this template needs besides what all of them are given.
    """
    routines = (*ir.routines, *ir.initial)
    bodies = {routine.name: format_body(routine, dialect=dialect) for routine in routines}
    text = StageText(ir.stages, ir.discrete)
    written = (
        environment()
        .get_template(template)
        .render(
            ir=ir,
            D=ir.D,
            real=dialect.real,
            bodies=bodies,
            text=text,
            window=named_window(len(text.promoted)),
            partitioned=ir.stages[0].moved is not None,
            active=Active.of(ir),
            state_nonzeros=sum(column < ir.D for column in ir.field_jacobian.columns),
            pairs=_pairs(ir),
            prior_places=_prior_places(ir),
            combine=combine,
            shifted=shifted,
            times=times,
            spread=lambda stage: _spread(ir, stage),
            coefficient=coefficient,
            zip=zip,
            **further,
        )
    )
    # macros leave too many blank lines
    return Source.of(stem, re.sub(r"\n{4,}", "\n\n\n", written))


def named_window(interior: int) -> str:
    """Name what a step sees."""
    points = [f"m{i}[n]" for i in range(1, interior + 1)] if interior > 1 else ["m[n]"] * interior
    return ", ".join(["x[n]", *points, "x[n+1]"])


@dataclass(frozen=True)
class Active:
    """Rows of D2F by (x, theta) that are not zero."""

    rows: list[int]
    states: list[int]
    parameters: list[int]
    all_states: bool
    everything: bool

    @classmethod
    def of(cls, ir: KernelIR) -> Active:
        """Look at the curvature's pattern."""
        rows = sorted(set(ir.field_curvature.rows) | set(ir.field_curvature.columns))
        states, parameters = [a for a in rows if a < ir.D], [a for a in rows if a >= ir.D]
        return cls(rows, states, parameters, len(states) == ir.D, len(rows) == ir.D + ir.P)


@dataclass(frozen=True)
class External:
    """A function that CasADi calls: sparsities of its arguments and results, and its work space."""

    name: str
    inputs: list[list[int]]
    outputs: list[list[int]]
    work: int

    @property
    def sparsity_in(self) -> list[int]:
        """All inputs' sparsities, one after the other."""
        return list(chain(*self.inputs))

    @property
    def sparsity_out(self) -> list[int]:
        """All outputs' sparsities."""
        return list(chain(*self.outputs))


def externals(ir: KernelIR) -> list[External]:
    """Return the functions of a step, and those of a grid point."""

    def dense(*sizes: int) -> list[list[int]]:
        return [[size, 1, 1] for size in sizes]

    step, work = (ir.E + ir.D, ir.P, 3 + ir.S * ir.U), _stage_work(ir)
    weighed, multiplied = dense(*step, ir.D), dense(*step, ir.E)
    hessian, jacobian, curvature = (
        [_sparsity(gather.pattern)]
        for gather in (ir.step_hessian, ir.step_jacobian, ir.step_curvature)
    )
    point = dense(ir.D, ir.P, 2 * ir.L + ir.pairs)
    point_work = ir.L + 3 * ir.Q + len(ir.mixed_channel)
    point_work += ir.measure_jacobian.size + ir.measure_curvature.size
    return [
        External("step_action", weighed, dense(1), work),
        External("step_gradient", weighed, dense(1, ir.W), work),
        External("step_hessian", weighed, hessian, work),
        External("step_residual", dense(*step), dense(ir.E), work),
        External("step_jacobian", dense(*step), jacobian, work),
        External("step_curvature", multiplied, curvature, work),
        External("point_action", point, dense(1), point_work),
        External("point_gradient", point, dense(1, ir.D + ir.P), point_work),
        External("point_hessian", point, [_sparsity(ir.point_hessian)], point_work),
        External("point_gauss_newton", point, [_sparsity(ir.point_hessian)], point_work),
        External("measure", dense(ir.D, ir.P), dense(ir.Q), point_work),
        External(
            "measure_jacobian",
            dense(ir.D, ir.P),
            [_sparsity(ir.measure_jacobian)],
            point_work,
        ),
        *_prior_externals(ir),
    ]


def _prior_externals(ir: KernelIR) -> list[External]:
    """Return the functions of the prior, none where there is none."""
    if ir.prior is None:
        return []
    inputs = [[size, 1, 1] for size in (ir.D, ir.P, ir.P)]
    work = 1 + 2 * (ir.D + ir.P) + ir.prior.size
    return [
        External("prior_action", inputs, [[1, 1, 1]], work),
        External("prior_gradient", inputs, [[1, 1, 1], [ir.D + ir.P, 1, 1]], work),
        External("prior_hessian", inputs, [_sparsity(ir.prior_hessian)], work),
    ]


def _prior_places(ir: KernelIR) -> dict[str, list[int]]:
    """Where the prior's sure diagonal, and the rest, stand in its Hessian's upper triangle."""
    if ir.prior is None:
        return {}
    whole = ir.prior_hessian
    at = {place: n for n, place in enumerate(zip(whole.rows, whole.columns, strict=True))}
    lower = zip(ir.prior.rows, ir.prior.columns, strict=True)
    return {
        "diagonal": [at[i, i] for i in range(ir.D + ir.P)],
        "target": [at[j, i] for i, j in lower],
    }


def _pairs(ir: KernelIR) -> dict[str, list[int]]:
    """Return the products of two nonzeros of the predictors' Jacobian, as tables."""
    columns = ("row", "q", "r", "target")
    kinds = {"PAIR": ir.point_pairs} | ({"MIXED": ir.mixed_pairs} if ir.mixed_pairs else {})
    return {
        f"{kind}_{c.upper()}": [getattr(pair, c) for pair in pairs]
        for kind, pairs in kinds.items()
        for c in columns
    }


def _stage_work(ir: KernelIR) -> int:
    """Numbers of work space a step needs: the template's AT_... list, plus a gradient."""
    stages, tangents = len(ir.stages), (2 * len(ir.stages) + 1) * ir.D + ir.P
    gradient = stages * (3 * ir.D + ir.field_jacobian.size) + 2 * ir.E + ir.D + ir.P
    return gradient + tangents * ir.columns + ir.field_curvature.size + (ir.E + ir.W) * ir.W + ir.W


def _spread(ir: KernelIR, stage: Stage) -> list[tuple[int, Number]]:
    """Return (first internal column, weight) of each grid point an affine stage uses."""
    if stage.interior is not None:
        return [(ir.D * (1 + stage.interior), Fraction(1))]
    ends = [(0, 1 - stage.v), (ir.last_column, stage.v)]
    return [(column, weight) for column, weight in ends if weight]


def _sparsity(pattern: Pattern) -> list[int]:
    """CasADi's compressed column form: rows, columns, column starts, row of each nonzero."""
    rows, columns = pattern.shape
    if pattern.size == rows * columns:
        return [rows, columns, 1]
    starts = [0] * (columns + 1)
    for column in pattern.columns:
        starts[column + 1] += 1
    for column in range(columns):
        starts[column + 1] += starts[column]
    return [rows, columns, *starts, *pattern.rows]


def _array(values: Sequence[int], name: str, kind: str = "int") -> str:
    """Write a static C array in readable lines (C has no empty arrays: one zero stands in)."""
    entries = [str(value) for value in values] or ["0"]
    lines, line = [], ""
    for entry in entries:
        if len(line) + len(entry) > 96:
            lines.append(line.rstrip())
            line = ""
        line += f"{entry}, "
    lines.append(line.rstrip().rstrip(","))
    return (
        f"static const {kind} {name}[{len(entries)}] = {{\n"
        + "\n".join(f"    {x}" for x in lines)
        + "};"
    )


def _comment(text: str) -> str:
    """Return one line that neither ends a comment or a docstring early nor means anything there.

    Templates keep it out of the first two lines as well: there Cython before 3.3 looks for an
    encoding, and names may hold the word.
    """
    line = "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
    for sign, other in _SIGNS.items():
        line = line.replace(sign, other)
    return line
