"""The section on where the equations of a mechanical model come from."""

from __future__ import annotations

import sympy as sp

from symda.declare import MechanicalModel
from symda.derive.display import Line, Section, latex_part
from symda.derive.notation import Mark
from symda.derive.sections import Subject


def mechanical_sections(subject: Subject) -> tuple[Section, ...]:
    """Return Lagrangian, momenta, Hamiltonian and forces; nothing of other models."""
    model = subject.model
    if not isinstance(model, MechanicalModel):
        return ()
    clock = model.time.name if model.time else "t"
    lines = []
    if model.lagrangian is not None:
        lines.append(Line(Mark("L", "L"), model.lagrangian))
        for q, v in zip(model.coordinates, model.velocities, strict=True):
            rate = rf"\frac{{d {latex_part(q)}}}{{d {latex_part(sp.Symbol(clock))}}}"
            lines.append(Line(v, Mark(f"d{q}/d{clock}", rate)))
        for p, v in zip(model.momenta, model.velocities, strict=True):
            lines.append(Line(p, sp.diff(model.lagrangian, v), f"dL/d{v}"))
    lines.append(Line(Mark("H", "H"), model.hamiltonian))
    for q, force in zip(model.coordinates, model.forces, strict=True):
        if force != 0:
            name = Mark(f"force[{q}]", rf"f_{{{latex_part(q)}}}")
            lines.append(Line(name, force))
    kept = "H is constant." if model.conservative else "H is not constant."
    q, p = model.coordinates[0], model.momenta[0]
    force = " + force" if any(model.forces) else ""
    more = ", and so on" if len(model.coordinates) > 1 else ""
    rule = f"d{q}/d{clock} = dH/d{p}, d{p}/d{clock} = -dH/d{q}{force}{more}"
    return (Section("Mechanics", tuple(lines), f"Where the equations come from: {rule}. {kept}"),)
