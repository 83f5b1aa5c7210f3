"""A fingerprint of equations, to tell a run of one model from a run of another."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import sympy as sp
from sympy import Expr

from symda.declare.initial import Initial
from symda.declare.lattice import LatticeModel
from symda.declare.measure import Measurement
from symda.declare.model import Model


def model_digest(model: Model) -> str:
    """Return the SHA-256 of a model's equations; names count, bounds and start ranges do not.

    Scales of states do: what the model's errors are depends on them.
    """
    if isinstance(model, LatticeModel):
        left = [repr(field) for field in model.fields] + [repr(model.lattice)]
        return _digest(["lattice", str(model.discrete), *left], model.site_equations)
    names = [f"{type(state).__name__} {state.name}" for state in model.states]
    own = [(s.name, model.declarations[s].coordinate) for s in model.states]
    names += [f"{name} {scale}" for name, scale in own if scale.name is not None]
    return _digest(["model", str(model.discrete), *names], model.equations)


def measurement_digest(model: Model, measurement: Measurement, initial: Initial) -> str:
    """Return the SHA-256 of what is measured, its names included, and of what is known besides.

    That is initial values, priors, and costs of controls.
    """
    declared = measurement.declarations(model)
    each = [s.name for s in model.per_step if declared[s].independent]
    priors = [
        f"prior {'of each ' * (s.name in each)}{s.name} {one.prior}"
        for s, one in declared.items()
        if one.prior is not None
    ]
    costs = [f"cost {s.name} {one.cost}" for s, one in declared.items() if one.cost is not None]
    noise = [] if measurement.gaussian else [str(one) for one in measurement.noises]
    known = [f"initial {a}" for a, g in enumerate(initial.functions) if g is not None]
    values = (g for g in initial.functions if g is not None)
    head = ["measurement", *measurement.names, *noise, *known, *priors, *costs]
    return _digest(head, (*measurement.functions, *values))


def _digest(head: Iterable[str], expressions: Iterable[Expr]) -> str:
    sha = hashlib.sha256()
    for line in (*head, *map(sp.srepr, expressions)):
        sha.update(f"{len(line)} {line}\n".encode("utf-8", "surrogatepass"))
    return sha.hexdigest()
