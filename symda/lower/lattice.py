"""LatticeField and scheme -> LatticeIR: one site's routines, their arguments written as places."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from symda.lower.instructions import lower_function
from symda.lower.ir import Routine, Stage
from symda.lower.lower import lower_stages

if TYPE_CHECKING:
    from symda.derive.lattice import LatticeField, Neighbour
    from symda.discretise import Scheme


@dataclass(frozen=True)
class Direction:
    """One direction of a lattice: sites, boundary, and how far the stencil reaches beyond them."""

    name: str
    size: int
    boundary: str
    low: int
    high: int


@dataclass(frozen=True)
class LatticeIR:
    """A lattice problem, lowered.

    The inputs of `routines` are written as places in arrays of rows of sites: ``X[i - 1]``.
    """

    model: str
    scheme: str
    discrete: bool
    explicit: bool
    fields: tuple[str, ...]
    equations: tuple[tuple[str, str], ...]
    parameters: tuple[str, ...]
    forcing: tuple[str, ...]
    directions: tuple[Direction, ...]
    stencil: tuple[Neighbour, ...]
    P: int
    U: int
    S: int
    interior: int
    stages: tuple[Stage, ...]
    routines: tuple[Routine, ...]
    scalars: frozenset[str]

    @property
    def places(self) -> tuple[str, ...]:
        """Where each stencil value stands, counted from its site in the first field."""
        return tuple(_shift(one, len(self.directions)) for one in self.stencil)


def lower_lattice(field: LatticeField, scheme: Scheme) -> LatticeIR:
    """Lower a lattice problem."""
    model = field.model
    sites = model.lattice.sites
    reach = list(zip(*(one.offsets for one in field.stencil), strict=True)) or [(0,)] * len(sites)
    directions = tuple(
        Direction(s.name, s.size, s.boundary, max(0, -min(o)), max(0, *o))
        for s, o in zip(sites, reach, strict=True)
    )
    inputs = _inputs(field)
    scalars = frozenset({"t", *(text for texts in inputs.values() for text in texts)})
    routines = []
    for function in (field.site, field.tangent, field.adjoint, field.second):
        names = tuple(function.name_out(n) for n in range(function.n_out()))
        routines.append(_placed(lower_function(function, names), inputs))
    return LatticeIR(
        model=model.name,
        scheme=scheme.name,
        discrete=scheme.discrete,
        explicit=scheme.explicit,
        fields=tuple(f.name for f in model.fields),
        equations=tuple(
            (f"{f.name}[{','.join(s.name for s in sites)}]", str(e))
            for f, e in zip(model.fields, model.site_equations, strict=True)
        ),
        parameters=tuple(p.name for p in field.parameters),
        forcing=tuple(f.name for f in model.forcing),
        directions=directions,
        stencil=field.stencil,
        P=field.P,
        U=field.U,
        S=len(scheme.abscissae),
        interior=len(scheme.interior),
        stages=lower_stages(scheme),
        routines=tuple(routines),
        scalars=scalars,
    )


def _inputs(field: LatticeField) -> dict[str, tuple[str, ...]]:
    """Text of each input that differs from site to site, by the name of its vector."""
    count = len(field.model.lattice.sites)
    places = [_shift(one, count) for one in field.stencil]
    fields = range(len(field.model.fields))
    rows = [f"{f}*SITES" for f in fields]
    at = [f"i + {row}" if f else "i" for f, row in zip(fields, rows, strict=True)]
    # a row is one number in all directions but the last
    number = {1: [], 2: ["row"], 3: ["(row // SIZE_1)", "(row % SIZE_1)"]}[count]
    return {
        "w": tuple(f"X[{_sum('i', place)}]" for place in places),
        "dw": tuple(f"T[{_sum('i', place)}]" for place in places),
        "kappa": tuple(f"kappa[{a}]" for a in at),
        "dkappa": tuple(f"dkappa[{a}]" for a in at),
        "site": tuple(f"(<double> {n})" for n in (*number, "(first + i)")),
    }


def _placed(routine: Routine, inputs: dict[str, tuple[str, ...]]) -> Routine:
    """Write a routine's inputs as places, its outputs one by one."""
    values = tuple(
        replace(value, argument=(inputs[value.argument[0]][value.argument[1]], 0))
        if value.op == "input" and value.argument[0] in inputs
        else value
        for value in routine.values
    )
    return replace(routine, values=values)


def _sum(first: str, place: str) -> str:
    if not place:
        return first
    return f"{first} - {place[1:]}" if place.startswith("-") else f"{first} + {place}"


def _shift(one: Neighbour, directions: int) -> str:
    """Distance of a stencil value from its site in the first field's array, in strides."""
    terms = [(one.field, "PADDED")]
    terms += [(o, "" if n == directions - 1 else f"STRIDE_{n}") for n, o in enumerate(one.offsets)]
    text = ""
    for factor, unit in terms:
        if factor:
            size = abs(factor)
            word = str(size) if not unit else unit if size == 1 else f"{size}*{unit}"
            sign = "-" if factor < 0 else "+"
            text += f" {sign} {word}" if text else ("-" if factor < 0 else "") + word
    return text
