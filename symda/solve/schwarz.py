"""A preconditioner for lattices: the Gauss-Newton Hessian of overlapping patches of sites."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from symda.build.patch_factors import PatchFactors, patch_factors
from symda.build.patches import Colours, Patches, span
from symda.types import BoolArray, FloatArray

if TYPE_CHECKING:
    from symda.build.lattice import LatticeEvaluator

#: Unknowns of a step up to which one patch takes all sites.
SMALL = 48
#: Most unknowns of a patch in a step.
LARGEST = 320
#: Bytes that factors may take.
MEMORY = 3 * 2**30
#: Patches that each site is in, along each direction.
LAYERS = 2
#: Cores of the patches, in stencils' reaches, by weight of the model over that of the data. From
#: Lorenz-96, whose reach is 2; see `benchmarks/lattices.py`.
CORES = ((1e2, 4.0), (1e3, 6.0), (1e5, 10.0), (np.inf, 15.0))
#: Weight of the model over that of the data up to which single precision serves.
SINGLE = 1e5
#: Share of the model's weight that every unknown has on the diagonal.
FLOOR = 1e-13
#: A factor of another point serves as long as conjugate gradients converge at this share of the
#: rate that they had with it at its own.
STALE = 0.7
#: Patches grow by this factor where a step takes more iterations than this, and than the new
#: factors cost this many times over.
GROWTH, SLOW, WORTH = 1.5, 30, 2.0
#: Work of a product with the Hessian, for each unknown, in multiplications of the factors'.
PRODUCT = 48.0


@dataclass(frozen=True)
class Size:
    """How the lattice is cut."""

    core: int
    layers: int
    single: bool


class Schwarz:
    """Patches of the sites of one problem, whose factors together are a preconditioner.

    Each patch is the exact Cholesky factor of the Gauss-Newton Hessian restricted to its own sites
    at all times, others taken as known; their solutions are added up, each weighed on both sides by
    one over the root of how many patches a site is in (additive Schwarz; B. F. Smith, P. E.
    Bjorstad, W. D. Gropp, Domain Decomposition, Cambridge 1996). So it is symmetric and positive
    definite, and the inverse itself where one patch takes all sites.

    Parameters
    ----------
    evaluator : LatticeEvaluator
    """

    def __init__(self, evaluator: LatticeEvaluator) -> None:
        self._evaluator = evaluator
        self._coupling = evaluator.kernels.shape.coupling
        self._last: tuple[Size, Patches, PatchFactors] | None = None

    @cached_property
    def colours(self) -> Colours:
        """What the residual's Jacobian is multiplied with."""
        return Colours.choose(self._coupling)

    def weight(self, rf: FloatArray) -> float:
        """Weight of the model's errors over that of the data, of a typical measured state."""
        p = self._evaluator.problem
        plain = np.flatnonzero(p.direct >= 0)
        rm = p.rm[:, plain].max(axis=0, initial=0.0)
        seen = rm > 0.0
        if not seen.any():
            return 1e3
        share = p.weight.max(initial=0.0) * rf[p.direct[plain[seen]]] / rm[seen]
        return float(np.median(share))

    def size(self, rf: FloatArray) -> Size:
        """Choose how to cut, by the weight of the model's errors, and by memory."""
        coupling, p = self._coupling, self._evaluator.problem
        weight = self.weight(rf)
        own = p.weight.max(initial=0.0) * rf.max(initial=0.0), p.rm.max(initial=0.0)
        single = weight <= SINGLE and 1e-12 < min(own) and max(own) < 1e12
        if p.E <= SMALL:
            return Size(max(coupling.shape), 1, single)
        reach = max(
            1, *(max(span(coupling.stencil, d)) for d, n in enumerate(coupling.shape) if n > 1)
        )
        core = round(reach * next(c for most, c in CORES if weight <= most))
        while core > 1 and not self._fits(core, single=single):
            core -= 1
        return Size(core, LAYERS, single)

    def larger(self, size: Size) -> Size | None:
        """Return the next larger patches, None where these take all sites or too much."""
        core = math.ceil(GROWTH * size.core)
        if size.core * size.layers >= max(self._coupling.shape):
            return None
        return replace(size, core=core) if self._fits(core, single=size.single) else None

    def iterations(self, size: Size) -> float:
        """Return how many iterations of conjugate gradients cost as much as the factors do."""
        D = self._evaluator.problem.D
        count, Q = self._count(size.core, size.layers)
        factors = 1.2 * Q**3 * count + len(self.colours.directions) / 3 * PRODUCT * D
        return factors / (9.0 * Q**2 * count + PRODUCT * D)

    def _count(self, core: int, layers: int) -> tuple[int, int]:
        """Count the patches, and their unknowns in a step."""
        shape = self._coupling.shape
        widths = prod(min(n, layers * core) for n in shape)
        count = prod(-(-n // core) if n > layers * core else 1 for n in shape)
        return count, widths * self._evaluator.problem.E // prod(shape)

    def _fits(self, core: int, *, single: bool) -> bool:
        count, Q = self._count(core, LAYERS)
        numbers = count * (self._evaluator.problem.N + 1) * 0.75 * Q**2
        return Q <= LARGEST and numbers * (4 if single else 8) <= MEMORY

    def factor(
        self, path: FloatArray, theta: FloatArray, rf: FloatArray, size: Size, free: BoolArray
    ) -> PatchFactors | None:
        """Factorise at a point; None where derivatives are not finite.

        Parameters
        ----------
        free : ndarray of bool, shape (M, D)
            Unknowns that are not taken out.
        """
        if self._last is None or self._last[0] != size:
            self._last = None  # their memory is free before the next ones take theirs
            patches = Patches.cut(self._coupling, self.colours, size.core, size.layers)
            compiled = self._evaluator.kernels.kind == "compiled"
            N = self._evaluator.problem.N
            factors = patch_factors(patches, N, single=size.single, compiled=compiled)
            self._last = size, patches, factors
        factors = self._last[2]
        own = self._evaluator.measured_diagonal(path, theta)
        p = self._evaluator.problem
        own += FLOOR * p.weight.max(initial=0.0) * rf
        try:
            factors.factor(self._products(path, theta, rf), own, free)
        except FloatingPointError:
            return None
        return factors

    def _products(
        self, path: FloatArray, theta: FloatArray, rf: FloatArray
    ) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Yield each step's products of the residual's Jacobian, and its residuals' weights."""
        p, lattice = self._evaluator.problem, self._evaluator.kernels.lattice
        flat = np.ascontiguousarray(path).reshape(-1)
        steps, weights = self._evaluator.packed.steps, np.tile(rf, 1 + p.interior)
        for n in range(p.N):
            window = flat[n * p.E : (n + 1) * p.E + p.D]
            columns = lattice.tangents(window, theta, steps[n], self.colours.directions)
            if not np.isfinite(columns).all():
                raise FloatingPointError
            yield columns, p.weight[n] * weights


class Reused:
    """The preconditioner along one descent: when factors are made anew, and of which patches."""

    def __init__(self, schwarz: Schwarz, rf: FloatArray) -> None:
        self._schwarz, self._rf = schwarz, rf
        self._size = schwarz.size(rf)
        self._factors: PatchFactors | None = None
        self._free: BoolArray | None = None
        self._fresh = False
        self._rate = 0.0

    def at(
        self, path: FloatArray, theta: FloatArray, free: BoolArray
    ) -> Callable[[FloatArray], FloatArray] | None:
        """Return what solves for right-hand sides (M, D); None where there are no derivatives.

        Parameters
        ----------
        free : ndarray of bool, shape (M, D)
            Unknowns that are not held.
        """
        if self._factors is None or not np.array_equal(free, self._free):
            self._factors = self._schwarz.factor(path, theta, self._rf, self._size, free)
            self._free, self._fresh = free, True
        return None if self._factors is None else self._factors.solve

    def learn(self, products: int, reduction: float, *, bounded: bool) -> None:
        """Take note of how conjugate gradients went: their residual's square fell by a factor.

        A step that was cut off leads where the Hessian is another.
        """
        if bounded and not self._fresh:
            self._factors = None
        if self._factors is None or not 0.0 < reduction < 1.0 or products < 3:
            self._fresh = False
            return
        rate = -math.log(reduction) / (2.0 * products)
        if not self._fresh:
            if rate < STALE * self._rate:
                self._factors = None
            return
        self._fresh, self._rate = False, rate
        larger = self._schwarz.larger(self._size)
        if larger and products > max(SLOW, WORTH * self._schwarz.iterations(larger)):
            self._size, self._factors = larger, None
