"""`FlowIR` -> `Source` of a model's integration with adaptive steps."""

from __future__ import annotations

import re
from dataclasses import dataclass

from symda.emit.emit import environment
from symda.emit.format import Dialect, format_body
from symda.emit.source import Source
from symda.emit.stages import combine, times
from symda.emit.steps import POINTERS
from symda.emit.vectors import LANES, LARGEST_IN_LANES
from symda.lower.flows import (
    RADAU_ERROR,
    RADAU_PAIR,
    RADAU_REAL,
    RADAU_T,
    RADAU_T_INVERSE,
    FlowIR,
)
from symda.names import module_name

TEMPLATE = "flow.pyx.j2"
#: A member in each lane, with its own time and forcing.
MEMBERS = Dialect("real", frozenset(), "lanes_source_t", "lanes_row_t")
MEANINGS = {
    "field": "F(x, u, theta, t)",
    "lanes_field": "F(x, u, theta, t) of a member in each lane",
    "field_jacobian": "The same and the nonzeros of dF/dx, column after column",
    "field_tangent": "The same and the nonzeros of dF/d(x, theta), column after column",
}


@dataclass(frozen=True)
class FlowRules:
    """How steps are chosen.

    The next step is the one at which the estimated error would be `safety`^order of what is
    allowed, at most `widest` times and at least `narrowest` times the last; `memory` is the share
    of the last error in it (PI control). Newton's method takes `most` iterations. The error of an
    implicit step is estimated at order 3 only and counts less, as in the program RADAU5.

    An explicit step times the fastest rate above `stiff` (its limit on the real axis is 3.3, and
    the control holds it somewhat below) in `patience` steps hands over to the implicit method,
    unless `reset` steps without it are between. An implicit step times a bound of all rates below
    `mild` in as many hands back, and so do steps that are not `worth` times as long; then it takes
    `doubt` times as many to try again, up to the square of that.

    Slopes may be off by `slack` sqrt(rtol) of the largest a column has been, or by as much of a
    change of the states by `unfelt` of their size where a parameter changes by all of its own (by 1
    where it is 0). A step is refused `refusals` times for that reason, and then taken.

    Hairer, Norsett, Wanner, II.4; Hairer, Wanner, IV.2 and IV.8.
    """

    safety: float = 0.9
    narrowest: float = 0.2
    widest: float = 10.0
    widest_implicit: float = 8.0
    memory: float = 0.04
    stiff: float = 1.0
    patience: int = 15
    reset: int = 6
    mild: float = 0.5
    worth: float = 2.0
    doubt: int = 4
    slack: float = 0.01
    unfelt: float = 1e-3
    refusals: int = 10
    most: int = 10


RULES = FlowRules()


def flow_in_lanes(ir: FlowIR) -> bool:
    """Whether there is a module with a member in each lane."""
    return ir.D <= LARGEST_IN_LANES and not ir.discrete


def emit_flow(ir: FlowIR, *, lanes: bool = False) -> Source:
    """Write the Cython module; that of `lanes` leads an ensemble, without slopes."""
    bodies = {one.name: format_body(one, dialect=POINTERS) for one in ir.routines}
    if lanes:
        bodies["lanes_field"] = format_body(ir.routines[0], dialect=MEMBERS)
    text = (
        environment()
        .get_template(TEMPLATE)
        .render(
            ir=ir,
            lanes=lanes,
            bodies=bodies,
            meanings=MEANINGS,
            rules=RULES,
            T=RADAU_T,
            T_inverse=RADAU_T_INVERSE,
            real_eigenvalue=RADAU_REAL,
            pair=RADAU_PAIR,
            error=RADAU_ERROR,
            combine=combine,
            times=times,
            zip=zip,
            **LANES,
        )
    )
    stem = module_name(ir.model, "flow lanes" if lanes else "flow")
    return Source.of(stem, re.sub(r"\n{4,}", "\n\n\n", text))
