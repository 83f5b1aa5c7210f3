"""`KernelIR` -> `Source`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING

from symda.discretise import Number
from symda.discretise.surd import shown
from symda.emit.format import Dialect, format_body, number
from symda.emit.source import PLACEHOLDER, Source
from symda.lower import KernelIR, Pattern, Stage
from symda.names import module_name
from symda.rendering import jinja_environment

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATE = "kernels.pyx.j2"

#: What ends a docstring or a C comment, escapes, or stands for something else -> what is harmless.
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

    The text depends on `ir` and the templates alone: no time, no paths, floats by ``repr``.
    """
    return render(
        ir,
        TEMPLATE,
        module_name(ir.model, ir.scheme),
        Dialect(),
        lanes=False,
        constant=coefficient,
        sparsity=_sparsity,
        stage_work=_stage_work(ir),
        point_work=2 * ir.L + ir.measure_jacobian.size + ir.measure_curvature.size,
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
    bodies = {routine.name: format_body(routine, dialect=dialect) for routine in ir.routines}
    promoted = [stage for stage in ir.stages if stage.interior is not None]
    text = (
        environment()
        .get_template(template)
        .render(
            ir=ir,
            D=ir.D,
            h="" if ir.discrete else "h*",
            real=dialect.real,
            routines={routine.name: routine for routine in ir.routines},
            bodies=bodies,
            outside=[stage for stage in ir.stages if not stage.affine],
            promoted=promoted,
            window=named_window(len(promoted)),
            active=sorted(set(ir.field_curvature.rows) | set(ir.field_curvature.columns)),
            state_nonzeros=sum(column < ir.D for column in ir.field_jacobian.columns),
            combine=combine,
            combination=combination,
            spread=lambda stage: _spread(ir, stage),
            coefficient=coefficient,
            zip=zip,
            **further,
        )
    )
    # macros leave more blank lines than anyone wants to read
    return Source.of(stem, re.sub(r"\n{4,}", "\n\n\n", text))


def named_window(interior: int) -> str:
    """Name what a step sees."""
    points = [f"m{i}[n]" for i in range(1, interior + 1)] if interior > 1 else ["m[n]"] * interior
    return ", ".join(["x[n]", *points, "x[n+1]"])


def _stage_work(ir: KernelIR) -> int:
    """Numbers of work space a step needs: the template's AT_... list, plus a gradient."""
    stages, tangents = len(ir.stages), (2 * len(ir.stages) + 1) * ir.D + ir.P
    gradient = stages * (3 * ir.D + ir.field_jacobian.size) + 2 * ir.E + ir.D + ir.P
    return gradient + tangents * ir.columns + ir.field_curvature.size + (ir.E + ir.W) * ir.W + ir.W


def coefficient(value: Number | int) -> str:
    """Write a coefficient of a tableau."""
    return number(float(value))


def combine(weights: Sequence[Number], term: str) -> str:
    """Sum of weights times ``term`` with ``{j}`` replaced, zeros left out, or an empty string."""
    parts = []
    for j, weight in enumerate(weights):
        if weight:
            factor = "" if weight == 1 else f"{coefficient(weight)}*"
            parts.append(factor + term.replace("{j}", str(j)))
    return " + ".join(parts)


def combination(weights: Sequence[Number], name: str) -> str:
    """Write the same for people: fractions as fractions, subscripts."""
    parts = [("" if w == 1 else f"{shown(w)} ") + f"{name}_{j}" for j, w in enumerate(weights) if w]
    return " + ".join(parts).replace("+ -", "- ")


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
