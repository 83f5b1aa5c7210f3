"""A preconditioner for lattices: the Gauss-Newton Hessian of overlapping patches of sites."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from symda.build.patch_factors import PatchFactors, patch_factors
from symda.build.patches import Colours, Patches
from symda.types import BoolArray, FloatArray

if TYPE_CHECKING:
    from symda.build.lattice import LatticeEvaluator

#: Products with the Hessian one step may take.
MOST_PRODUCTS = 500
#: Unknowns of a step up to which one patch takes all sites.
SMALL = 48
#: Least and most unknowns of a patch in a step.
LEAST, LARGEST = 16, 320
#: Bytes that factors may take.
MEMORY = 3 * 2**30
#: Patches that each site is in, along each direction.
LAYERS = 2
#: Weight of the model over that of the data up to which single precision serves.
SINGLE = 1e5
#: Share of the model's weight that every unknown has on the diagonal.
FLOOR = 1e-13
#: Factors of another point serve as long as conjugate gradients converge at this share of the rate
#: that they had with them at their own.
STALE = 0.7
#: Nanoseconds, about, on a core with AVX-512: of a product with the Hessian and of a solution by
#: lines, for each unknown; of factors and of a solution by them, for each cube and square of a
#: patch's unknowns in a step. Only their ratios matter.
PRODUCT, LINES, FACTOR, SOLVE = 45.0, 15.0, 0.075, 1.25
#: Iterations that larger patches are expected to take, to tell whether they would be cheaper.
EXPECTED = 15


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

    def single(self, rf: FloatArray) -> bool:
        """Whether factors may be kept in single precision."""
        p = self._evaluator.problem
        plain = np.flatnonzero(p.direct >= 0)
        rm = p.rm[:, plain].max(axis=0, initial=0.0)
        seen = rm > 0.0
        heaviest = p.weight.max(initial=0.0)
        weights = heaviest * rf[p.direct[plain[seen]]] / rm[seen]
        sizes = np.concatenate([heaviest * rf, rm[seen]])
        extreme = not (1e-12 < sizes.min() and sizes.max() < 1e12)
        return bool(seen.any() and np.median(weights) <= SINGLE and not extreme)

    def larger(self, size: Size | None, rf: FloatArray) -> Size | None:
        """Return the next larger patches, or the first ones; None if they would take too much."""
        shape = self._coupling.shape
        single = self.single(rf) if size is None else size.single
        p = self._evaluator.problem
        if len(self.colours.directions) * p.E >= 2**31:
            return None  # more places than their numbers hold
        if size is None and p.E <= SMALL:
            whole = self._fits(max(shape), 1, single=single)
            return Size(max(shape), 1, single) if whole else None
        if size is None:
            core = 1
            while self._count(core, LAYERS)[1] < LEAST and core < max(shape):
                core += 1
        else:
            core = max(size.core + 1, round(size.core * 2.0 ** (1.0 / len(shape))))
            if size.core * size.layers >= max(shape):
                return None
        return Size(core, LAYERS, single) if self._fits(core, LAYERS, single=single) else None

    def costs(self, size: Size | None) -> tuple[float, float]:
        """Return what factors cost, and an iteration with them; None: of lines."""
        D = self._evaluator.problem.D
        if size is None:
            return 0.0, (PRODUCT + LINES) * D
        count, Q = self._count(size.core, size.layers)
        factors = FACTOR * Q**3 * count + len(self.colours.directions) / 3 * PRODUCT * D
        return factors, SOLVE * Q**2 * count + PRODUCT * D

    def _count(self, core: int, layers: int) -> tuple[int, int]:
        """Count the patches, and their unknowns in a step."""
        shape = self._coupling.shape
        widths = prod(min(n, layers * core) for n in shape)
        count = prod(-(-n // core) if n > layers * core else 1 for n in shape)
        return count, widths * self._evaluator.problem.E // prod(shape)

    def _fits(self, core: int, layers: int, *, single: bool) -> bool:
        """Whether triangles and what couples them to the next step fit into memory, at most."""
        count, Q = self._count(core, layers)
        numbers = count * (self._evaluator.problem.N + 1) * (Q * (Q + 1) // 2 + Q**2)
        return Q <= LARGEST and numbers * (4 if single else 8) <= MEMORY

    def factor(
        self,
        path: FloatArray,
        theta: FloatArray,
        rf: FloatArray,
        size: Size,
        free: BoolArray,
        extra: FloatArray | None = None,
    ) -> PatchFactors | None:
        """Factorise at a point; None where derivatives or factors are not finite.

        Parameters
        ----------
        free : ndarray of bool, shape (M, D)
            Unknowns that are not taken out.
        extra : ndarray, shape (M, D), optional
            What is added to the diagonal.
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
        if extra is not None:
            own += extra
        try:
            factors.factor(self.products(path, theta, rf), own, free)
        except FloatingPointError:
            return None
        # squares of finite derivatives may not be finite, least in single precision
        probe = free.astype(float)
        found = factors.solve(probe)
        fine = bool(np.isfinite(found).all()) and float(np.vdot(probe, found)) > 0.0
        return factors if fine or not free.any() else None

    def products(
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
    """The preconditioner along one descent: lines, then patches as large as pays.

    Conjugate gradients begin with lines. Once they have taken as long as larger patches would take,
    with their factors, they begin again with those. Factors serve for further steps as long as they
    are good.
    """

    def __init__(self, schwarz: Schwarz, rf: FloatArray) -> None:
        self._schwarz, self._rf = schwarz, rf
        self._size: Size | None = None
        self._factors: PatchFactors | None = None
        self._free: BoolArray | None = None
        self._fresh = False
        self._rate = 0.0
        self._over = False

    def give_up(self) -> bool:
        """Go on with lines, to the end; False if these were in use already."""
        over, self._over = self._over or self._size is None, True
        self._size, self._factors = None, None
        return not over

    @property
    def budget(self) -> int:
        """Products after which larger patches are tried."""
        if self._over:
            return MOST_PRODUCTS
        larger = self._schwarz.larger(self._size, self._rf)
        if larger is None:
            return MOST_PRODUCTS
        factors, iteration = self._schwarz.costs(larger)
        own = self._schwarz.costs(self._size)[1]
        return min(MOST_PRODUCTS, math.ceil((factors + EXPECTED * iteration) / own))

    def at(
        self,
        path: FloatArray,
        theta: FloatArray,
        free: BoolArray,
        extra: FloatArray | None = None,
    ) -> Callable[[FloatArray], FloatArray] | None:
        """Return what solves for right-hand sides (M, D); None for lines.

        Parameters
        ----------
        free : ndarray of bool, shape (M, D)
            Unknowns that are not held.
        extra : ndarray, shape (M, D), optional
            What damps the step.
        """
        if self._size is None:
            return None
        if self._factors is None or self._free is None or (free != self._free).any():
            self._factors = self._schwarz.factor(path, theta, self._rf, self._size, free, extra)
            self._free, self._fresh = free, True
        return None if self._factors is None else self._factors.solve

    def learn(self, products: int, reduction: float, *, unfinished: bool) -> bool:
        """Take note of how conjugate gradients went; return whether to do them again.

        Parameters
        ----------
        products : int
        reduction : float
            Factor by which the square of the gradient's norm fell.
        unfinished : bool
            Whether the budget was used up.
        """
        fresh, self._fresh = self._fresh, False
        if unfinished and self._size is not None and not fresh:
            self._factors = None
            return True
        if unfinished:
            larger = None if self._over else self._schwarz.larger(self._size, self._rf)
            self._size, self._factors = larger or self._size, None
            return larger is not None
        if products >= 3 and 0.0 < reduction < 1.0:
            rate = -math.log(reduction) / products
            if fresh:
                self._rate = rate
            elif rate < STALE * self._rate:
                self._factors = None
        return False
