"""Overlapping patches of a lattice: which unknowns, which residuals, and where these meet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod

import numpy as np

from symda.derive.coupling import Coupling, Reach
from symda.sites import at_positions
from symda.types import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Colours:
    """Directions whose products with the residual's Jacobian hold all of its entries.

    Unknowns of one colour are so far apart that no residual depends on two of them.
    """

    directions: FloatArray  #: (C, E + D), ones at the unknowns of a colour.
    #: [b]: colour of each state at point b of the window, (D,).
    of: tuple[IntArray, ...]

    @classmethod
    def choose(cls, coupling: Coupling) -> Colours:
        """Colour the unknowns of a step's window, box by box."""
        count, fields = prod(coupling.shape), coupling.fields
        D = fields * count
        of: list[IntArray] = []
        total = 0
        for b in range(len(coupling.reach) + 1):
            reach = _union(row[b] for row in coupling.reach)
            if all(f == g and not any(o) for f, g, o in reach):
                of.append(np.full(D, total))
                total += 1
                continue
            colour, period = np.zeros((1,) * len(coupling.shape), dtype=np.int64), 1
            for d, size in enumerate(coupling.shape):
                low, high = span(reach, d)
                along, most = _spread(size, low + high + 1)
                shape = [1] * len(coupling.shape)
                shape[d] = size
                colour, period = colour * most + along.reshape(shape), period * most
            own = np.broadcast_to(colour, coupling.shape).reshape(-1)
            of.append(np.concatenate([total + f * period + own for f in range(fields)]))
            total += fields * period
        directions = np.zeros((total, D * len(of)))
        for b, colours in enumerate(of):
            directions[colours, b * D + np.arange(D)] = 1.0
        used = directions.any(axis=1)
        renumbered = np.cumsum(used) - 1
        return cls(directions[used], tuple(renumbered[one] for one in of))


def _union(reaches: Iterable[Reach]) -> Reach:
    nothing: Reach = frozenset()
    return nothing.union(*reaches)


def span(reach: Reach, direction: int) -> tuple[int, int]:
    """Return how far a residual reaches below its site and above it along one direction."""
    offsets = [o[direction] for _, _, o in reach]
    return max(0, -min(offsets, default=0)), max(0, *offsets, 0)


def _spread(size: int, least: int) -> tuple[IntArray, int]:
    """Give sites numbers from 0 in blocks of `least` or a little more, as even as may be."""
    blocks = max(1, size // least)
    starts = np.arange(blocks + 1) * size // blocks
    at = np.arange(size)
    along = at - starts[np.searchsorted(starts, at, side="right") - 1]
    return along, int(along.max()) + 1


@dataclass(frozen=True)
class Cut:
    """Patches along one direction, so that every site is in as many of them.

    The sites are shared out to cores, and a patch is `layers` cores in a row. (Where some sites are
    in more patches than others, what the patches say of a smooth change is weighed unevenly:
    Lorenz-96 with Rf = 200,000 Rm and patches of 31 sites, some in two and some in three, took more
    than 3,000 iterations in place of 40.)
    """

    size: int
    boundary: str
    core: int
    layers: int

    @cached_property
    def ends(self) -> tuple[IntArray, IntArray]:
        """First site of each patch, and how many it has; from the first one on around the end."""
        count, layers = -(-self.size // self.core), self.layers
        if layers >= count:
            return np.zeros(1, dtype=np.int64), np.array([self.size])
        first = np.arange(0 if self.boundary == "periodic" else 1 - layers, count)
        at = np.arange(count + 1) * self.size // count
        if self.boundary == "periodic":
            starts = at[first]
            return starts, (at[(first + layers) % count] - starts) % self.size
        starts = at[np.maximum(first, 0)]
        return starts, at[np.minimum(first + layers, count)] - starts

    @property
    def starts(self) -> IntArray:
        """First site of each patch."""
        return self.ends[0]

    @property
    def width(self) -> int:
        """Sites of the widest patch."""
        return int(self.ends[1].max())

    def sites(self) -> IntArray:
        """Return the sites (patches, width) of each patch, -1 beyond them."""
        starts, count = self.ends
        places = np.arange(self.width)
        return np.where(places < count[:, None], (starts[:, None] + places) % self.size, -1)

    def local(self, sites: IntArray) -> IntArray:
        """Place of sites (patches, n) within each patch; -1 where they are not in it."""
        starts, count = self.ends
        place = sites - starts[:, None]
        if self.boundary == "periodic":
            place = place % self.size
        return np.where((sites >= 0) & (place >= 0) & (place < count[:, None]), place, -1)

    def rows(self, low: int, high: int) -> tuple[IntArray, IntArray]:
        """Positions (patches, R) whose residuals may touch a patch, and their sites, -1 if none."""
        extent = np.arange(-high, self.width + low)
        if len(extent) >= self.size and self.boundary == "periodic":
            extent = np.arange(self.size)
        positions = self.starts[:, None] + extent
        if self.boundary == "periodic":
            return positions, positions % self.size
        there = (positions >= 0) & (positions < self.size)
        return positions, np.where(there, positions, -1)


@dataclass(frozen=True, eq=False)
class Patches:
    """K patches with the same Q unknowns in each step, and the same pattern of residuals.

    Unknowns of a patch are those of a step's points (x_n, the interior points), field by field. In
    `column` those of x_{n+1} follow as Q, Q + 1, ...
    """

    #: Place of each among the unknowns of a step, (K, Q); 0 where a smaller patch has none.
    unknown: IntArray
    own: int  #: How many of the Q belong to x_n.
    share: FloatArray  #: 1 over the root of how many patches have it, (K, Q); 0 for none.
    row: IntArray  #: Number of each residual, E where there is none, (K, R).
    first: IntArray  #: Where the entries of each begin, (R + 1,).
    column: IntArray  #: Unknown of each entry, in order within a residual, (entries,).
    #: Where it is among the products (C, E) with `Colours`, flat; C E where it is 0, (K, entries).
    place: IntArray

    @property
    def Q(self) -> int:
        """Unknowns of a patch in a step."""
        return int(self.unknown.shape[1])

    @cached_property
    def coupled(self) -> tuple[IntArray, IntArray]:
        """Rows and columns of what may be nonzero between x_{n+1} and a step, row by row."""
        found = np.zeros((self.own, self.Q), dtype=bool)
        for begin, end in zip(self.first[:-1], self.first[1:], strict=True):
            columns = self.column[begin:end]
            further = columns[columns >= self.Q] - self.Q
            found[np.ix_(further, columns[columns < self.Q])] = True
        rows, columns = np.nonzero(found)
        return rows, columns

    @classmethod
    def cut(cls, coupling: Coupling, colours: Colours, core: int, layers: int) -> Patches:
        """Cut a lattice into boxes of `layers` cores of `core` sites in each direction."""
        cuts = [
            Cut(size, boundary, core, layers)
            for size, boundary in zip(coupling.shape, coupling.boundaries, strict=True)
        ]
        count, points = prod(coupling.shape), len(coupling.reach)
        D = coupling.fields * count
        sites = _flat([cut.sites() for cut in cuts], coupling.shape)
        s = coupling.fields * sites.shape[1]
        each = [f * count + sites for f in range(coupling.fields * points)]
        unknown = np.concatenate([np.where(sites < 0, 0, one) for one in each], axis=1)
        there = np.tile(sites >= 0, len(each))
        share = np.where(there, 1.0 / np.sqrt(np.bincount(unknown[there])[unknown]), 0.0)
        # the same entries of all patches: those that any of them has
        row, width = _rows(coupling, cuts), (points + 1) * s
        found = np.zeros(row.shape[1] * width, dtype=bool)
        entries = [(key, at) for key, at in _entries(coupling, colours, cuts, s)]
        for key, _ in entries:
            found[key[key >= 0]] = True
        union, number = np.flatnonzero(found), np.cumsum(found) - 1
        place = np.full((len(unknown), len(union)), len(colours.directions) * D * points)
        for key, at in entries:
            patch, n = np.nonzero(key >= 0)
            place[patch, number[key[patch, n]]] = at[patch, n]
        kept, first = np.unique(union // width, return_index=True)
        return cls(
            unknown,
            s,
            share,
            row[:, kept],
            np.append(first, len(union)),
            union % width,
            place,
        )


def _flat(along: Sequence[IntArray], shape: Sequence[int]) -> IntArray:
    """Numbers (patches, sites) of sites given along each direction, (patches, sites); -1: none."""
    total = np.zeros((1, 1), dtype=np.int64)
    for one, size in zip(along, shape, strict=True):
        a, b = total.shape
        joined = total[:, None, :, None] * size + one[None, :, None, :]
        joined = np.where((total[:, None, :, None] < 0) | (one[None, :, None, :] < 0), -1, joined)
        total = joined.reshape(a * len(one), b * one.shape[1])
    return total


def _extents(coupling: Coupling, cuts: Sequence[Cut]) -> list[tuple[IntArray, IntArray]]:
    every = _union(b for row in coupling.reach for b in row)
    return [cut.rows(*span(every, d)) for d, cut in enumerate(cuts)]


def _rows(coupling: Coupling, cuts: Sequence[Cut]) -> IntArray:
    """Return the number of each residual that may touch a patch, (K, R): block by block."""
    count = prod(coupling.shape)
    sites = _flat([sites for _, sites in _extents(coupling, cuts)], coupling.shape)
    blocks = range(len(coupling.reach) * coupling.fields)
    missing = len(blocks) * count
    return np.concatenate([np.where(sites < 0, missing, n * count + sites) for n in blocks], axis=1)


def _entries(
    coupling: Coupling, colours: Colours, cuts: Sequence[Cut], s: int
) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield keys, residual (points + 1) s + unknown, and places, -1 for none: (K, sites) each.

    One pair for each unknown that a site's residual depends on.
    """
    count, points = prod(coupling.shape), len(coupling.reach)
    E, width = points * coupling.fields * count, (points + 1) * s
    extents = _extents(coupling, cuts)
    there = _flat([sites for _, sites in extents], coupling.shape)
    shape = [cut.width for cut in cuts]
    for e, b in product(range(points), range(points + 1)):
        for f, g, offsets in coupling.reach[e][b]:
            along = [
                at_positions(positions + o, cut.size, cut.boundary)
                for cut, (positions, _), o in zip(cuts, extents, offsets, strict=True)
            ]
            site = _flat(along, coupling.shape)
            local = _flat([c.local(x) for c, x in zip(cuts, along, strict=True)], shape)
            row = (e * coupling.fields + f) * there.shape[1] + np.arange(there.shape[1])
            unknown = b * s + g * prod(shape) + local
            used = (there >= 0) & (local >= 0)
            at = colours.of[b][g * count + site] * E + (e * coupling.fields + f) * count + there
            key = np.where(used, row * width + unknown, -1)
            yield key.astype(np.int32), np.where(used, at, -1).astype(np.int32)
