"""`Kernels` and `Evaluator`: what every kind of kernels has."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from symda.build.engines import Theta
from symda.build.given import Given
from symda.build.layout import pack
from symda.correlations import ErrorCorrelations
from symda.emit.source import Source
from symda.errors import InputError
from symda.types import FloatArray

if TYPE_CHECKING:
    import casadi as ca
    from scipy.sparse import csr_array

    from symda.observe import Problem


@dataclass(frozen=True)
class Payload(ABC):
    """Plain data that kernels are rebuilt from in another process."""

    source: Source
    library: str
    functions: tuple[tuple[str, str], ...]

    @abstractmethod
    def restore(self) -> Kernels:
        """Rebuild the kernels."""


class Kernels(ABC):
    """Action and gradient of a model under a scheme, and whatever else they provide.

    One set of kernels serves any data, grid, N, Rm, Rf, and any choice of free parameters.
    Unknowns are ordered (flat path, theta): M D + P numbers.

    Attributes
    ----------
    emitted : Source
        The emitted module (also where the virtual machine evaluates, to be read).
    provides : frozenset of str
        What there is, of `PARTS`.
    """

    emitted: Source
    provides: ClassVar[frozenset[str]]
    #: Initial values that are functions of the parameters, with derivatives; empty without.
    initial: Mapping[str, ca.Function] = MappingProxyType({})
    #: Quantities at a point whose values are paid, C.
    paid: int = 0
    #: Pairs of channels whose noise may be correlated, K; see `Problem.cross`.
    pairs: int = 0

    @property
    def source(self) -> str:
        """The emitted Cython text."""
        return self.emitted.text

    @property
    @abstractmethod
    def kind(self) -> str:
        """``"compiled"`` or ``"virtual machine"``."""

    @abstractmethod
    def at(self, problem: Problem) -> Evaluator:
        """Bind a problem, so that its data are laid out once."""

    @abstractmethod
    def structured(self, problem: Problem) -> Path | None:
        """Library of the structured solver that suits a problem, built when first asked for.

        In the form for one path at a time where the window is long. None where it cannot be built,
        or where its blocks are too large to be faster.
        """

    @abstractmethod
    def measure(self, X: ArrayLike, theta: ArrayLike) -> FloatArray:
        """Measurement functions along a path of any length, shape (M, L), paid values left out."""

    @abstractmethod
    def measure_slopes(self, X: FloatArray, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Measurement functions along a path, (M, L), and their derivatives, (M, L, D + P)."""

    @abstractmethod
    def step_residual(self, X: FloatArray, theta: Theta, steps: FloatArray) -> FloatArray:
        """Residuals (N, E) of the steps along a path, whose data are `steps` (N, 3 + S U)."""

    @abstractmethod
    def payload(self, problem: Problem, parts: frozenset[str] = frozenset(), /) -> Payload:
        """Return what another process needs to rebuild these kernels, its `restore`.

        Parameters
        ----------
        problem : Problem
            What will be minimised.
        parts : frozenset of str
            Of `PARTS`, those that will be needed: ``"lanes"`` builds the structured solver.
        """


class Evaluator(ABC):
    """Kernels with the data of one problem.

    Raises
    ------
    InputError
        If the problem was bound for another model, measurement or scheme.
    """

    def __init__(self, kernels: Kernels, problem: Problem) -> None:
        self.kernels = kernels
        self.problem = problem
        self.packed = pack(problem, kernels.pairs)
        self.given = Given(problem, kernels.initial)
        self._check_sizes()

    def _check_sizes(self) -> None:
        """Refuse a problem of other sizes: compiled code would read beyond its arrays."""
        p, steps = self.problem, self.packed.steps.shape[1]
        its = {"D": p.D, "P": len(p.kernel_parameters), "L": p.L, "C": len(p.paid)}
        its |= {"E": p.E, "3 + S U": steps}
        own = self._sizes()
        wrong = [f"{name} = {own[name]}, not {its[name]}" for name in its if own[name] != its[name]]
        if self.problem.cross.shape[1] > self.kernels.pairs:
            raise InputError(
                "The noise of these data is correlated across channels, and these kernels are of "
                "noise that is not. Take those of sd.Action(..., correlated=True)."
            )
        if wrong:
            raise InputError(
                "The problem belongs to another model, measurement or scheme: these kernels have "
                f"{'; '.join(wrong)}. Bind the data to the action the kernels were made from."
            )

    @abstractmethod
    def _sizes(self) -> Mapping[str, int]:
        """Return the kernels' own sizes: D, P, L, E, and the numbers of data of a step."""

    def split(self, X: ArrayLike, theta: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Check and convert a path (M, D) and parameters (P,), given initial values put in."""
        p = self.problem
        path = np.ascontiguousarray(X, dtype=float)
        values = np.ascontiguousarray(theta, dtype=float)
        if path.shape != (p.M, p.D):
            raise InputError(
                f"The path X must have the shape (M, D) = {(p.M, p.D)} of this problem's grid "
                f"and states, got {path.shape}."
            )
        if values.shape != (p.P,):
            raise InputError(
                f"theta must have the shape (P,) = {(p.P,)}, one value for each of "
                f"{p.parameters}, got {values.shape}."
            )
        return self.given.path(path, values), values

    @cached_property
    def experiments(self) -> tuple[Self, ...]:
        """Each experiment with the same kernels."""
        if len(self.problem.segments) == 1:
            return (self,)
        return tuple(type(self)(self.kernels, one) for one in self.problem.experiments)

    def measure(self, X: ArrayLike, theta: ArrayLike) -> FloatArray:
        """Measurement functions along a path (M, D), shape (M, L)."""
        path, values = self.split(X, theta)
        parts = [self.kernels.measure(x, own) for _, x, own in self.problem.apart(path, values)]
        return np.concatenate(parts)

    def measure_slopes(self, X: ArrayLike, theta: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Measurement functions along a path, (M, L), and their derivatives, (M, L, D + p)."""
        path, values = self.split(X, theta)
        parts = [
            self.kernels.measure_slopes(x, own) for _, x, own in self.problem.apart(path, values)
        ]
        return np.concatenate([h for h, _ in parts]), np.concatenate([rows for _, rows in parts])

    def precision(self, rf: ArrayLike) -> FloatArray:
        """Rf as one value a state, shape (D,); a parameter per step keeps its own."""
        try:
            return self.problem.precision(np.broadcast_to(rf, (self.problem.D,)))
        except ValueError:
            raise InputError(
                f"rf must be one number or one a state (D = {self.problem.D}), got the shape "
                f"{np.shape(rf)}."
            ) from None

    def weights(self, rf: ArrayLike) -> FloatArray:
        """Return one over the variance of all residuals of the steps, (N, E)."""
        p = self.problem
        return p.weight[:, None] * np.tile(p.by_step(self.precision(rf)), 1 + p.interior)

    @cached_property
    def _correlations(self) -> ErrorCorrelations | None:
        known = self.problem.correlations
        return ErrorCorrelations(np.array(known)) if known else None

    def weigh(self, rf: ArrayLike, residual: FloatArray) -> FloatArray:
        """Return the momenta of residuals (N, E): the precision of the model's errors times r."""
        weights = self.weights(rf)
        if self._correlations is None:
            return weights * residual
        roots = np.sqrt(weights)
        errors = (roots * residual).reshape(-1, self.problem.D)
        return roots * (errors @ self._correlations.inverse).reshape(residual.shape)

    def precisions(self, rf: ArrayLike) -> csr_array:
        """Return the precision W of all model errors, r^T W r/2, sparse (N E, N E)."""
        from scipy.sparse import diags_array

        if self._correlations is None:
            return diags_array(self.weights(rf).reshape(-1), format="csr")
        roots = self.roots(rf)
        found: csr_array = (roots.T @ roots).tocsr()
        return found

    def roots(self, rf: ArrayLike) -> csr_array:
        """Return U with U^T U the precision of all model errors, sparse (N E, N E)."""
        from scipy.sparse import diags_array, eye_array, kron

        roots = diags_array(np.sqrt(self.weights(rf).reshape(-1)), format="csr")
        if self._correlations is None:
            return roots
        points = self.problem.N * (1 + self.problem.interior)
        found: csr_array = (kron(eye_array(points), self._correlations.root) @ roots).tocsr()
        return found

    @abstractmethod
    def terms(self, X: ArrayLike, theta: ArrayLike, rf: ArrayLike) -> tuple[float, float]:
        """Measurement term and model term of the action."""

    def action(self, X: ArrayLike, theta: ArrayLike, rf: ArrayLike) -> float:
        """Return the action of eq. 10, and -log of the prior where there is one."""
        return sum(self.terms(X, theta, rf)) + self.prior(X, theta)

    def prior(self, X: ArrayLike, theta: ArrayLike) -> float:  # noqa: ARG002  # there is none
        """Prior term of the action."""
        return 0.0

    @abstractmethod
    def value_and_gradient(
        self, X: ArrayLike, theta: ArrayLike, rf: ArrayLike
    ) -> tuple[float, FloatArray]:
        """Return action and gradient (M D + P,)."""

    @abstractmethod
    def hessian_product(
        self, X: ArrayLike, theta: ArrayLike, rf: ArrayLike, v: ArrayLike
    ) -> FloatArray:
        """Hessian of the action times `v`, (M D + P,)."""

    def gradient(self, X: ArrayLike, theta: ArrayLike, rf: ArrayLike) -> FloatArray:
        """Gradient of the action, shape (M D + P,)."""
        return self.value_and_gradient(X, theta, rf)[1]

    def direction(self, v: ArrayLike) -> FloatArray:
        """Check and convert a direction (M D + P,)."""
        p = self.problem
        direction = np.ascontiguousarray(v, dtype=float)
        if direction.shape != (p.M * p.D + p.P,):
            raise InputError(
                f"v must have the shape (M D + P,) = {(p.M * p.D + p.P,)}, a number for each "
                f"unknown, got {direction.shape}."
            )
        return direction

    def residual(self, X: ArrayLike, theta: ArrayLike) -> FloatArray:
        """Residuals of the steps, shape (N, E)."""
        path, values = self.split(X, theta)
        return self.kernels.step_residual(path, self.packed.pieces(values), self.packed.steps)
