"""The section on where the equations of a mechanical model come from."""

from __future__ import annotations

from symda.declare import MechanicalModel
from symda.derive.dynamics import derivative
from symda.typeset.continuum import Continuum
from symda.typeset.display import Line, Section, latex_part
from symda.typeset.notation import Mark
from symda.typeset.subject import Subject


def mechanical_sections(subject: Subject) -> tuple[Section, ...]:
    """Return Lagrangian, momenta, Hamiltonian and forces; nothing of other models."""
    model = subject.model
    if not isinstance(model, MechanicalModel):
        return ()
    t = subject.time
    L, H = Continuum(subject).functions
    lines = []
    if model.lagrangian is not None:
        lines.append(Line(L, model.lagrangian))
        for q, v in zip(model.coordinates, model.velocities, strict=True):
            rate = rf"\frac{{d {latex_part(q)}}}{{d {latex_part(t)}}}"
            lines.append(Line(v, Mark(f"d{q}/d{t}", rate)))
        for p, v in zip(model.momenta, model.velocities, strict=True):
            lines.append(Line(p, derivative(model.lagrangian, v), f"d{L}/d{v}"))
    lines.append(Line(H, model.hamiltonian))
    for q, force in zip(model.coordinates, model.forces, strict=True):
        if force != 0:
            name = Mark(f"force[{q}]", rf"f_{{{latex_part(q)}}}")
            lines.append(Line(name, force))
    kept = f"{H} is constant." if model.conservative else f"{H} is not constant."
    q, p = model.coordinates[0], model.momenta[0]
    force = " + force" if any(model.forces) else ""
    more = ", and so on" if len(model.coordinates) > 1 else ""
    rule = f"d{q}/d{t} = d{H}/d{p}, d{p}/d{t} = -d{H}/d{q}{force}{more}"
    return (Section("Mechanics", tuple(lines), f"Where the equations come from: {rule}. {kept}"),)
