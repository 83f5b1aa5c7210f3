"""Which unknowns of a step the residual at a site of a lattice depends on, and how far away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

    from symda.derive.lattice import LatticeField
    from symda.discretise import Number, Scheme

#: Equation's field, unknown's field, how far away the unknown's site is in each direction.
Reach: TypeAlias = frozenset[tuple[int, int, tuple[int, ...]]]


@dataclass(frozen=True)
class Coupling:
    """Sites of a lattice, and what the residual of a step reaches; plain data.

    Offsets count from the equation's site and are folded at the ends as the boundary says. Along a
    direction that reflects they are symmetric.
    """

    shape: tuple[int, ...] = ()
    boundaries: tuple[str, ...] = ()
    fields: int = 0
    #: [e][b]: residual block e (the step's own, then one an interior point) on point b of the
    #: window (x_n, the interior points, x_{n+1}).
    reach: tuple[tuple[Reach, ...], ...] = ()
    #: The same of the equations themselves.
    stencil: Reach = frozenset()

    @classmethod
    def of(cls, field: LatticeField, scheme: Scheme) -> Coupling:
        """Compose the stencil along the stages of a scheme."""
        sites = field.model.lattice.sites
        fields = len(field.model.fields)
        entries = zip(*field.site.jac_sparsity(0, 0).get_triplet(), strict=True)
        stencil = {(f, field.stencil[w].field, field.stencil[w].offsets) for f, w in entries}
        for n, site in enumerate(sites):
            if site.boundary == "reflect":
                stencil |= {(f, g, (*o[:n], -o[n], *o[n + 1 :])) for f, g, o in stencil}
        own: Reach = frozenset((f, f, (0,) * len(sites)) for f in range(fields))
        sizes = tuple(site.size for site in sites)
        boundaries = tuple(site.boundary for site in sites)
        folds = tuple(map(_Fold, sizes, boundaries))
        reach = _composed(scheme, own, frozenset(stencil), folds)
        return cls(sizes, boundaries, fields, reach, frozenset(stencil))


@dataclass(frozen=True)
class _Fold:
    """How far apart two sites are at most, once all that is the same is called the same."""

    size: int
    boundary: str

    def __call__(self, offset: int) -> int:
        half = {"periodic": self.size // 2, "reflect": self.size}.get(self.boundary)
        if half is None:
            return max(-self.size, min(self.size, offset))
        period = self.size if self.boundary == "periodic" else 2 * self.size
        return (offset + half) % period - half


def _composed(
    scheme: Scheme, own: Reach, stencil: Reach, folds: tuple[_Fold, ...]
) -> tuple[tuple[Reach, ...], ...]:
    """Return `Coupling.reach`."""
    count = 2 + len(scheme.interior)
    nothing: Reach = frozenset()

    def through(reached: Reach) -> Reach:
        by_field: dict[int, list[tuple[int, tuple[int, ...]]]] = {}
        for g, h, o in reached:
            by_field.setdefault(g, []).append((h, o))
        return frozenset(
            (f, h, tuple(fold(a + b) for a, b, fold in zip(o, p, folds, strict=True)))
            for f, g, o in stencil
            for h, p in by_field.get(g, ())
        )

    slopes: list[list[Reach]] = []

    def tied(v: Number, weights: Sequence[Number]) -> list[Reach]:
        found = [nothing] * count
        found[0] = own if v != 1 else nothing
        found[-1] = own if v != 0 else nothing
        for weight, slope in zip(weights, slopes, strict=False):
            if weight:
                found = [a | b for a, b in zip(found, slope, strict=True)]
        return found

    for i in range(scheme.stages):
        argument = [nothing] * count
        if i in scheme.interior:
            argument[1 + scheme.interior.index(i)] = own
        else:
            argument = tied(scheme.v[i], scheme.X[i])
        slopes.append([through(one) for one in argument])
    if scheme.discrete:
        return ((slopes[0][0], own),)
    first = tied(0 * scheme.b[0], scheme.b)
    first[-1] |= own
    rows = [first]
    for n, i in enumerate(scheme.interior):
        row = tied(scheme.v[i], scheme.X[i])
        row[1 + n] |= own
        rows.append(row)
    return tuple(map(tuple, rows))
