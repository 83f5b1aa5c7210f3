"""Which components of a model the stages of a scheme move."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symda.discretise.scheme import Scheme
from symda.errors import OptionError

if TYPE_CHECKING:
    from symda.declare import Model

ANY = "'midpoint', 'gauss4' and 'gauss6' are symplectic as well and take any model"


def moved(scheme: Scheme, model: Model) -> tuple[tuple[int, int], ...]:
    """Return the components [start, stop) of dx/dt that each stage's slope holds.

    Those of the coordinates or of the momenta in a partitioned scheme, otherwise all.

    Raises
    ------
    OptionError
        If the scheme is partitioned and the model is not mechanical, not separable, or has a
        state with a scale.
    """
    # here, since processes that only evaluate kernels need no SymPy
    from symda.declare import MechanicalModel

    if not scheme.partitioned:
        return ((0, len(model.states)),) * scheme.stages
    if not isinstance(model, MechanicalModel):
        raise OptionError(
            f"The scheme {scheme.name!r} moves coordinates and momenta in turn: {model.name!r} "
            "does not say which they are. Make it with sd.Model.from_hamiltonian or "
            f"sd.Model.from_lagrangian, or choose another scheme; {ANY}."
        )
    if not model.separable:
        raise OptionError(
            f"The scheme {scheme.name!r} needs velocities that depend on momenta only, and forces "
            f"that depend on coordinates only, H = T(p) + V(q): in {model.name!r} they mix. "
            f"Choose another scheme; {ANY}."
        )
    scaled = [s.name for s in model.states if model.declarations[s].scale is not None]
    if scaled:
        raise OptionError(
            f"The scheme {scheme.name!r} steps coordinates and momenta themselves: {scaled[0]!r} "
            f"has a scale, so that its rate depends on both. Leave scale out, or choose another "
            f"scheme; {ANY}."
        )
    n = len(model.coordinates)
    return tuple((0, n) if part == "q" else (n, 2 * n) for part in scheme.parts)
