"""Sites of a lattice, and fields on them: one equation for a site stands for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Literal, Self, TypeAlias, get_args, overload

import numpy as np
import sympy as sp
from sympy import Expr
from sympy.printing.latex import LatexPrinter

from symda.checks import choice, integer
from symda.declare.declaration import UNBOUNDED, Declaration, Range
from symda.declare.declared import Declared
from symda.declare.distributions import Distribution
from symda.declare.symbols import State, several
from symda.errors import ModelError
from symda.scale import ScaleName
from symda.sites import at_positions
from symda.types import IntArray

Boundary: TypeAlias = Literal["periodic", "zero", "reflect"]
Index: TypeAlias = "Expr | int | slice"

#: Directions a lattice may have.
MOST_DIRECTIONS = 3


class Site(Declared):
    """The number of a site along one direction of a lattice: 0 .. size - 1.

    Used as an index (``x[i + 1]``) it names neighbours; in an equation it is the number itself.

    Parameters
    ----------
    name : str
        The name it prints as.
    size : int
        Number of sites.
    boundary : {"periodic", "zero", "reflect"}
        What stands beyond the ends: ``"periodic"``, x[-1] = x[size-1] and x[size] = x[0];
        ``"zero"``, 0; ``"reflect"``, the mirror image x[-1] = x[0], x[size] = x[size-1] (no flux).
        All hold at any distance, so a stencil may be wider than the lattice.

    Raises
    ------
    ModelError
        If the name is empty, the size is no whole number of at least 1, or the boundary unknown.
    """

    __slots__ = ("boundary", "size")
    kind_name = "Site"
    size: int
    boundary: Boundary

    def __new__(cls, name: str, size: int, *, boundary: Boundary = "periodic") -> Self:
        """Check the declaration and make the symbol."""
        size = integer(size, f"Site {name!r}: the size", error=ModelError)
        choice(boundary, f"Site {name!r}: boundary", get_args(Boundary), error=ModelError)
        symbol = cls._create(name)
        symbol.size, symbol.boundary = size, boundary
        return symbol

    @property
    def words(self) -> str:
        """Kind and declaration, as messages say them."""
        return f"Site(size={self.size}, boundary={self.boundary})"

    def _hashable_content(self) -> tuple[object, ...]:
        return (*sp.Symbol._hashable_content(self), (float(self.size),), self.boundary)

    # SymPy's symbols are made again from their name only; these need more
    def __getnewargs_ex__(self) -> tuple[tuple[object, ...], dict[str, object]]:
        return (self.name, self.size), {"boundary": self.boundary}

    def inside(self, positions: IntArray) -> IntArray:
        """Site that stands at each position, which may lie beyond the ends; -1: zero stands there.

        Parameters
        ----------
        positions : ndarray of int
        """
        return at_positions(positions, self.size, self.boundary)


@dataclass(frozen=True)
class Lattice:
    """The sites in one, two or three directions; the last one's number varies fastest."""

    sites: tuple[Site, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of sites in each direction."""
        return tuple(site.size for site in self.sites)

    @property
    def count(self) -> int:
        """Number of sites."""
        return prod(self.shape)

    def neighbours(self, offsets: Sequence[int]) -> IntArray:
        """Return the number of each site's neighbour, (count,); -1 where zero stands there."""
        total = np.zeros((1,) * len(self.sites), dtype=np.int64)
        beyond = np.zeros_like(total, dtype=bool)
        for direction, (site, offset) in enumerate(zip(self.sites, offsets, strict=True)):
            shape = [1] * len(self.sites)
            shape[direction] = site.size
            along = site.inside(np.arange(site.size) + offset).reshape(shape)
            total = total * site.size + along
            beyond = beyond | (along < 0)
        where = np.broadcast_to(np.where(beyond, -1, total), self.shape)
        return np.ascontiguousarray(where).reshape(-1)

    def coordinates(self) -> IntArray:
        """Return the number of each site in each direction, (directions, count)."""
        return np.indices(self.shape).reshape(len(self.sites), self.count)


class SiteState(Declared):
    """A field at a site of the lattice or at a neighbour of it, as ``x[i - 1]`` in an equation."""

    __slots__ = ("field", "offsets")
    kind_name = "State at a site"
    field: StateField
    offsets: tuple[int, ...]

    def __new__(cls, field: StateField, offsets: tuple[int, ...]) -> Self:
        """Name the symbol the way it is written."""
        indices = zip(field.lattice.sites, offsets, strict=True)
        symbol = cls._create(f"{field.name}[{','.join(_shifted(s.name, o) for s, o in indices)}]")
        symbol.field, symbol.offsets = field, offsets
        return symbol

    def _hashable_content(self) -> tuple[object, ...]:
        content = sp.Symbol._hashable_content(self)
        return (*content, *self.field.content, tuple(float(o) for o in self.offsets))

    def _latex(self, printer: LatexPrinter) -> str:
        indices = zip(self.field.lattice.sites, self.offsets, strict=True)
        place = ",".join(printer.doprint(s) + (f"{o:+d}" if o else "") for s, o in indices)
        return f"{{{printer.doprint(sp.Symbol(self.field.name))}}}_{{{place}}}"

    # as above
    def __getnewargs_ex__(self) -> tuple[tuple[object, ...], dict[str, object]]:
        return (self.field, self.offsets), {}


class StateField(Sequence[State]):
    """A state at each site of a lattice, all with the same bounds and start range.

    ``x[i]``, ``x[i + 1]`` with the lattice's own indices stand in equations. ``x[3]`` is the state
    of that site (``x[3, 5]`` on a plane), ``x[::3]`` every third, ``len(x)`` how many there are; in
    this it is a sequence of states like any other, in the order of the lattice.

    Parameters
    ----------
    name : str
        States are called name0, name1, ... or on a plane name0_0, name0_1, ...
    sites : Site or sequence of Site
        One for each direction.
    bounds, start, scale
        As for `State`; a scale needs ``matrix_free=False`` in the action.

    Raises
    ------
    ModelError
        As `State`, or if there are no sites, more than three directions, or one twice.
    """

    def __init__(
        self,
        name: str,
        sites: Site | Sequence[Site],
        *,
        bounds: Range = UNBOUNDED,
        start: Range | None = None,
        scale: ScaleName | None = None,
    ) -> None:
        every = (sites,) if isinstance(sites, Site) else tuple(sites)
        what = f"StateField {name!r}"
        if not every or any(not isinstance(site, Site) for site in every):
            raise ModelError(
                f"{what}: expected sites, one for each direction, got {sites!r}; "
                "declare them with i = sd.site('i', 100)."
            )
        if len({site.name for site in every}) < len(every) or len(every) > MOST_DIRECTIONS:
            raise ModelError(
                f"{what}: expected one to {MOST_DIRECTIONS} sites of different names, got "
                f"{', '.join(site.name for site in every)}."
            )
        self.name = State(name).name
        self.lattice = Lattice(every)
        self.declaration = Declaration(bounds, start, scale=scale).checked(what)

    @property
    def content(self) -> tuple[object, ...]:
        """What makes a field the one it is, in a form SymPy can sort."""
        bounds, start = self.declaration.bounds, self.declaration.start or ()
        sites = tuple((s.name, s.size, s.boundary) for s in self.lattice.sites)
        return (self.name, sites, bounds, start, self.declaration.scale or "")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StateField) and self.content == other.content

    def __hash__(self) -> int:
        return hash(self.content)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{s.name}: {s.size} {s.boundary}" for s in self.lattice.sites)
        return f"StateField({self.name!r}, {sizes})"

    def __len__(self) -> int:
        return self.lattice.count

    # mypy cannot tell a symbolic index from a number: SymPy ships no types
    @overload
    def __getitem__(self, index: int | tuple[int, ...]) -> State: ...
    @overload
    def __getitem__(self, index: slice | tuple[int | slice, ...]) -> tuple[State, ...]: ...
    @overload
    def __getitem__(self, index: Expr | tuple[Expr, ...]) -> SiteState: ...
    def __getitem__(
        self, index: Index | tuple[Index, ...]
    ) -> State | SiteState | tuple[State, ...]:
        parts = index if isinstance(index, tuple) else (index,)
        if any(isinstance(part, Expr) and part.free_symbols for part in parts):
            return SiteState(self, self._offsets(parts))
        sizes = self.lattice.shape
        if len(parts) == 1 and len(sizes) > 1:
            sizes = (len(self),)
        if len(parts) != len(sizes):
            raise ModelError(
                f"{self.name}{list(parts)}: expected {len(sizes)} indices, got {len(parts)}."
            )
        ranges = [self._range(part, size) for part, size in zip(parts, sizes, strict=True)]
        places = (np.ravel_multi_index(place, sizes) for place in product(*ranges))
        found = tuple(self._at(int(place)) for place in places)
        return found if any(isinstance(part, slice) for part in parts) else found[0]

    def _range(self, part: Index, size: int) -> range:
        if isinstance(part, slice):
            return range(size)[part]
        if isinstance(part, bool) or not isinstance(part, int | np.integer | sp.Integer):
            raise ModelError(
                f"{self.name}[{part!r}]: expected a site such as {self.lattice.sites[0].name} + 1, "
                "a whole number or a slice."
            )
        if not -size <= int(part) < size:
            raise IndexError(f"{self.name}[{part}]: there are {size} sites, 0 to {size - 1}.")
        return range(int(part) % size, int(part) % size + 1)

    def _at(self, place: int) -> State:
        numbers = np.unravel_index(place, self.lattice.shape)
        name = self.name + "_".join(str(number) for number in numbers)
        own = self.declaration
        return State(name, bounds=own.bounds, start=own.start, scale=own.scale)

    def _offsets(self, parts: tuple[Index, ...]) -> tuple[int, ...]:
        sites = self.lattice.sites
        written = f"{self.name}[{', '.join(map(str, parts))}]"
        offsets = [part - site for part, site in zip(parts, sites, strict=False)]
        if len(parts) != len(sites) or not all(isinstance(o, sp.Integer) for o in offsets):
            raise ModelError(
                f"{written}: expected {', '.join(s.name for s in sites)}, each plus or minus a "
                "whole number; the field was declared on those sites in that order."
            )
        return tuple(int(offset) for offset in offsets)


def site(name: str, size: int, *, boundary: Boundary = "periodic") -> Site:
    """Declare the sites along one direction of a lattice; see `Site`.

    Raises
    ------
    ModelError
        As `Site`.
    """
    return Site(name, size, boundary=boundary)


def _shifted(name: str, offset: int) -> str:
    return name if not offset else f"{name}{offset:+d}"


@overload
def states(
    names: str | Sequence[str],
    size: int | None = None,
    *,
    bounds: Range = UNBOUNDED,
    start: Range | None = None,
    prior: Distribution | None = None,
    scale: ScaleName | None = None,
) -> tuple[State, ...]: ...
@overload
def states(
    names: str,
    size: Site | tuple[Site, ...] | list[Site],
    *,
    bounds: Range = UNBOUNDED,
    start: Range | None = None,
    scale: ScaleName | None = None,
) -> StateField: ...
def states(
    names: str | Sequence[str],
    size: int | Site | tuple[Site, ...] | list[Site] | None = None,
    *,
    bounds: Range = UNBOUNDED,
    start: Range | None = None,
    prior: Distribution | None = None,
    scale: ScaleName | None = None,
) -> tuple[State, ...] | StateField:
    """Declare several states with the same bounds, start range and scale.

    Parameters
    ----------
    names : str or sequence of str
        `"x y z"` or `["x", "y", "z"]`; or one name together with `size`.
    size : int, or Site, or sequence of Site, optional
        With one name: how many states, called x0, x1, ...; or the sites they stand at.
    bounds, start, prior, scale
        As for `State`; states at sites have no prior.

    Returns
    -------
    tuple of State, (D,), or StateField

    Raises
    ------
    ModelError
        As `State` or `StateField`, or if a name is missing or repeated, or the size is not at
        least 1.
    """
    if isinstance(size, Site) or (isinstance(size, tuple | list) and size):
        if not isinstance(names, str) or len(names.replace(",", " ").split()) != 1:
            raise ModelError(
                f"states({names!r}, sites): sites go with one name; call once for each field."
            )
        if prior is not None:
            raise ModelError(f"states({names!r}, sites): states at sites have no prior.")
        return StateField(names, size, bounds=bounds, start=start, scale=scale)
    # what is no site is a size or a mistake, which `several` names
    every = several(names, size, "states")  # type: ignore[arg-type]
    return tuple(
        State(name, bounds=bounds, start=start, prior=prior, scale=scale) for name in every
    )
