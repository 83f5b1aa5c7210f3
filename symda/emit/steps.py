"""`StepIR` -> `Source` of the step maps of a model."""

from __future__ import annotations

import re
from dataclasses import dataclass

from symda.emit.emit import environment
from symda.emit.format import Dialect, format_body
from symda.emit.lattice import lattice_context
from symda.emit.source import Source
from symda.emit.stages import combine, listed, times
from symda.emit.vectors import LANES, LARGEST_IN_LANES
from symda.lower import LatticeIR
from symda.lower.steps import StepIR, StepProgram
from symda.names import module_name

TEMPLATE = "integrate.pyx.j2"
LATTICE_TEMPLATE = "integrate_lattice.pyx.j2"

MEANINGS = {
    "field": "F(x, u, theta, t)",
    "field_jacobian": "The same and the nonzeros of dF/dx, column after column",
    "velocity": "dq/dt = dH/dp",
    "velocity_jacobian": "The same and the nonzeros of its derivative by x, column after column",
    "force": "dp/dt = -dH/dq + force",
    "force_jacobian": "The same and the nonzeros of its derivative by x, column after column",
    "legendre": "(P, R) = (dL/dqdot, dL/dq + force)",
    "legendre_jacobian": "The same and the nonzeros of its derivative by (q, qdot)",
}


@dataclass(frozen=True)
class NewtonRules:
    """When a correction is the last one.

    Each unknown is compared with its own size and rounding error. The last correction is below
    `tiny` in all of them, or its rate says that the next one would be. Where corrections do not
    shrink by `slow` the matrix is computed again; if they still do not, and are below `rounding`,
    they are rounding errors. Where the correction after one with a new matrix is not shorter by
    half, half of that one is taken back, and again. After `most` there is no convergence. What is
    below `least` is zero.
    """

    tiny: float = 1e-16
    rounding: float = 1e-11
    slow: float = 0.1
    most: int = 50
    least: float = 1e-290


RULES = NewtonRules()

#: What the operations of a splitting ask for.
RATES = {"kick": "force", "drift": "velocity"}
POINTERS = Dialect(source="source_t", target="row_t")
#: Methods that an ensemble's members go in lanes by.
IN_LANES = ("explicit", "splitting", "composition")
#: A member of an ensemble in each lane, time and forcing the same for all.
MEMBERS = Dialect("real", frozenset({"t", "u"}), "lanes_source_t", "lanes_row_t")


@dataclass(frozen=True)
class Tables:
    """The numbers of a method as arrays."""

    word: str
    tables: tuple[tuple[str, tuple[float, ...]], ...]


def goes_in_lanes(ir: StepIR) -> bool:
    """Whether there is a module with a member in each lane."""
    small = ir.lattice is None and ir.D <= LARGEST_IN_LANES
    return small and all(one.kind in IN_LANES for one in ir.programs)


def emit_steps(ir: StepIR, *, lanes: bool = False) -> Source:
    """Write the Cython module; it depends on `ir` and the templates only.

    That of `lanes` takes ensembles with a member in each lane, and has no tangents.
    """
    name = "_".join(ir.public) if len(ir.public) <= 2 else f"{len(ir.public)} methods"
    text = _plain(ir, lanes=lanes) if ir.lattice is None else _lattice(ir, ir.lattice)
    stem = module_name(ir.model, f"{name} lanes" if lanes else name)
    return Source.of(stem, re.sub(r"\n{4,}", "\n\n\n", text))


def _lattice(ir: StepIR, lattice: LatticeIR) -> str:
    most = max(one.stages for one in ir.programs)
    return (
        environment()
        .get_template(LATTICE_TEMPLATE)
        .render(
            lattice_context(lattice, derivatives=False)
            | _common(ir)
            | {"steps": ir, "work": f"HALOED + {most + 1}*D"}
        )
    )


def _common(ir: StepIR) -> dict[str, object]:
    """Return what both templates are given."""
    return {
        "public": [one for name in ir.public for one in ir.programs if one.name == name],
        "clock": _clock,
        "parameters": ir.P,
        "forcing": lambda slot: f"&u[{slot}*U]" if ir.U and slot else "u",
        "argument": lambda one, i: "y" if any(one.a[i]) else "x",
        "combine": combine,
    }


def _plain(ir: StepIR, *, lanes: bool) -> str:
    jacobians, own, dialect = ((), "lanes_", MEMBERS) if lanes else (ir.jacobians, "", POINTERS)
    wanted = [one for one in ir.routines if not lanes or one.name not in dict(ir.jacobians)]
    bodies = {f"{own}{one.name}": format_body(one, dialect=dialect) for one in wanted}
    tables = [_tables(one) for one in ir.programs if one.kind in ("implicit", "variational")]
    return (
        environment()
        .get_template(TEMPLATE)
        .render(
            ir=ir,
            lanes=lanes,
            bodies=bodies,
            jacobians=jacobians,
            meanings={f"{own}{name}": text for name, text in MEANINGS.items()},
            tables=tables,
            solved=bool(tables),
            table=lambda one, letter: f"{one.word}_{_kept(one, letter)}",
            rates=RATES,
            kept_rate=lambda one: _kept_rate(ir, one),
            work=max(1, ir.n) if lanes else _work(ir),
            tiny=RULES.tiny,
            rounding=RULES.rounding,
            slow=RULES.slow,
            most=RULES.most,
            least=RULES.least,
            times=times,
            listed=listed,
            zip=zip,
            **_common(ir),
            **LANES,
        )
    )


def _clock(c: float) -> str:
    if c == 0.0:
        return "t"
    return f"t {'-' if c < 0.0 else '+'} {times(abs(c), 'h')}"


def _tables(one: StepProgram) -> Tables:
    flat = {"a": sum(one.a, ()), "a_p": sum(one.a_p, ()), "b": one.b, "b_p": one.b_p, "c": one.c}
    kept = {letter: flat[letter] for letter in flat if _kept(one, letter) == letter}
    return Tables(one.word, tuple((letter, values) for letter, values in kept.items() if values))


def _kept_rate(ir: StepIR, one: StepProgram) -> str:
    """Return the rate that a splitting ends with and its next step begins with, if there is one."""
    first, last = one.operations[0][0], one.operations[-1][0]
    return RATES[first] if first == last and not ir.U else ""


def _kept(one: StepProgram, letter: str) -> str:
    """Momenta share the coordinates' tables unless the method is partitioned."""
    same = {"a_p": one.a == one.a_p, "b_p": one.b == one.b_p}
    return letter.removesuffix("_p") if same.get(letter, False) else letter


def _work(ir: StepIR) -> int:
    """Numbers of work space for the most demanding method; the templates' lists of pointers."""
    D, n = ir.D, ir.n
    nonzeros = max((pattern.size for _, pattern in ir.jacobians), default=0)
    explicit = (1 + ir.most("explicit")) * D * D + nonzeros
    sD = ir.most("implicit") * D
    implicit = sD * (sD + D + 5) + D + nonzeros
    lagrange = 9 * n + 3 * n * n + 2 * n * D + nonzeros
    splitting = n + n * D + nonzeros
    return max(1, explicit, implicit, lagrange, splitting)
