"""`LatticeIR` -> `Source`: loops over sites, whose text does not grow with their number."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass

from symda.emit.emit import environment, named_window
from symda.emit.format import format_body
from symda.emit.source import Source
from symda.emit.stages import StageText
from symda.lower import LatticeIR, Routine
from symda.names import module_name

TEMPLATE = "lattice.pyx.j2"
INSIDE = {"periodic": "sites_wrapped", "reflect": "sites_mirrored"}


@dataclass(frozen=True)
class Loop:
    """The body of a loop over sites.

    Local variables in lines, how many stand in ``v[...]``, statements.
    """

    locals: tuple[str, ...]
    shared: int
    statements: tuple[str, ...]


def emit_lattice(ir: LatticeIR) -> Source:
    """Write the Cython module of a lattice problem; it depends on `ir` and the templates only."""
    text = environment().get_template(TEMPLATE).render(lattice_context(ir))
    return Source.of(module_name(ir.model, ir.scheme), re.sub(r"\n{4,}", "\n\n\n", text))


def lattice_context(ir: LatticeIR, *, derivatives: bool = True) -> dict[str, object]:
    """Return what the templates of lattices are given; without `derivatives` only F is written."""
    reach = [d.low + d.high > 0 for d in ir.directions]
    haloed = [n for n, far in enumerate(reach) if far]
    boundaries = {ir.directions[n].boundary for n in haloed}
    return {
        "ir": ir,
        "derivatives": derivatives,
        "last": len(ir.directions) - 1,
        "bodies": {routine.name: _loop(routine, ir) for routine in ir.routines},
        "text": StageText(ir.stages, ir.discrete),
        "strides": _strides(ir),
        "window": named_window(ir.interior),
        "haloed": haloed,
        "summed": [n for n in haloed if ir.directions[n].boundary != "zero"],
        "inside": INSIDE,
        "uses_wrap": "periodic" in boundaries,
        "uses_mirror": "reflect" in boundaries,
        "shift": lambda place: (
            f" - {place[1:]}" if place.startswith("-") else f" + {place}" if place else ""
        ),
    }


def _strides(ir: LatticeIR) -> list[tuple[int, str, str]]:
    """Return (direction, from a site to the next one along it, its name), the last one first."""
    numbered = [
        (n, f"STRIDE_{n + 1}*(LOW_{n + 1} + SIZE_{n + 1} + HIGH_{n + 1})", direction.name)
        for n, direction in enumerate(ir.directions)
    ]
    *rest, (n, _, name) = numbered
    return [(n, "1", name), *reversed(rest)]


def _loop(routine: Routine, ir: LatticeIR) -> Loop:
    body = format_body(routine, scalars=ir.scalars)
    names, statements = [], []
    for statement in (line for chunk in body.chunks for line in chunk):
        left, _, right = statement.partition(" = ")
        if left.startswith("cdef double "):
            left = left.removeprefix("cdef double ")
            names.append(left)
        statements.append(f"{_target(left)} = {right}")
    declared = (line.rstrip(",") for line in textwrap.wrap(", ".join(names), 100))
    return Loop(tuple(declared), body.shared, tuple(statements))


def _target(left: str) -> str:
    """Write where an output goes: slopes field by field, adjoints in tiles."""
    output = re.fullmatch(r"(k|dk|g|dg)\[(\d+)\]", left)
    if not output:
        return left
    name, n = output[1], int(output[2])
    if name in ("g", "dg"):
        return f"{name}[{n}*TILE + i]"
    return f"{name}[i + {n}*SITES]" if n else f"{name}[i]"
