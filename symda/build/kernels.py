"""The action of a problem with exact derivatives as blocks, compiled or interpreted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeGuard, cast

import numpy as np
from numpy.typing import ArrayLike

from symda.build.abstract import Evaluator, Kernels, Payload
from symda.build.engines import CompiledEngine, Engine, Theta, VirtualEngine
from symda.build.lane_flags import lane_flags
from symda.build.layout import ProblemLayout
from symda.build.parts import PARTS
from symda.build.serial import functions_of, serial
from symda.emit.source import DIGEST_DIGITS, Source
from symda.errors import InputError, OptionError
from symda.types import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    import casadi as ca
    from scipy.sparse import csc_array, csr_array

    from symda.build.compile import Artefact
    from symda.observe import Problem


@dataclass(frozen=True)
class BlockPayload(Payload):
    """What kernels with blocks are rebuilt from.

    `newton` is the library of the structured solver, `field` F and h for solvers in continuous
    time; both are empty unless they were asked for. `initial` has the initial values that are
    functions of the parameters.
    """

    newton: str = ""
    field: tuple[tuple[str, str], ...] = ()
    initial: tuple[tuple[str, str], ...] = ()
    paid: int = 0
    pairs: int = 0

    def restore(self) -> Kernels:
        """Rebuild the kernels."""
        field, initial = functions_of(self.field) or None, functions_of(self.initial)
        if not self.library:
            functions = functions_of(self.functions)
            sizes = self.paid, self.pairs
            return virtual_kernels(functions, self.source, field, initial, *sizes)
        engine = CompiledEngine(Path(self.library), self.source.digest[:DIGEST_DIGITS])
        newton = (lambda *_: Path(self.newton)) if self.newton else None
        return BlockKernels(engine, self.source, newton, field, initial, self.paid, self.pairs)


class BlockKernels(Kernels):
    """Kernels with the derivatives of each step as a block: everything there is.

    Parameters
    ----------
    engine : Engine
        What evaluates the steps.
    source : Source
        The emitted module (also where the virtual machine evaluates, to be read).
    newton : function, optional
        Builds the structured solver of the same problem with further compiler flags and returns
        its library.
    field : mapping of str to casadi.Function, optional
        ``field(x, u, theta, t)`` and ``measure(x, theta)``, F and h themselves, with derivatives.
    initial : mapping of str to casadi.Function
        Initial values that are functions of the parameters, see `symda.derive.field.Field`.
    paid : int
        How many of the quantities at a point, the last ones, are paid values: controls and others.
    pairs : int
        Of how many pairs of channels the data say how their noise is correlated; 0 where it is not.
    """

    provides = frozenset(PARTS)

    def __init__(
        self,
        engine: Engine,
        source: Source,
        newton: Callable[..., Path] | None = None,
        field: Mapping[str, ca.Function] | None = None,
        initial: Mapping[str, ca.Function] = MappingProxyType({}),
        paid: int = 0,
        pairs: int = 0,
    ) -> None:
        self.engine = engine
        self.emitted = source
        self._newton = newton
        self._built: dict[tuple[bool, tuple[str, ...]], Path] = {}
        self.field = field
        self.initial = initial
        self.paid = paid
        self.pairs = pairs

    def structured(self, problem: Problem) -> Path | None:
        """Library of the structured solver; see `Kernels.structured`."""
        flags = lane_flags(problem)
        # the lanes have one Rf for all steps
        if self._newton is None or flags is None or problem.still.any():
            return None
        form = bool(problem.given.any()), flags
        if form not in self._built:
            self._built[form] = self._newton(form[0], *flags)
        return self._built[form]

    @property
    def kind(self) -> str:
        """``"compiled"`` or ``"virtual machine"``."""
        return self.engine.kind

    @property
    def functions(self) -> Mapping[str, ca.Function]:
        """Per-step and per-point functions for CasADi."""
        return self.engine.functions

    def at(self, problem: Problem) -> BlockEvaluator:
        """Bind a problem, so that its data are laid out once."""
        return BlockEvaluator(self, problem)

    def step_residual(self, X: FloatArray, theta: Theta, steps: FloatArray) -> FloatArray:
        """Residuals (N, E); see `Kernels.step_residual`."""
        return self.engine.step_residual(X, theta, steps)

    def measure(self, X: ArrayLike, theta: ArrayLike) -> FloatArray:
        """Measurement functions along a path of any length, shape (M, L)."""
        path = np.ascontiguousarray(X, dtype=float)
        values = np.ascontiguousarray(theta, dtype=float)
        D, P = (self.functions["measure"].size1_in(i) for i in (0, 1))
        if path.ndim != 2 or path.shape[1] != D or values.shape != (P,):
            raise InputError(
                f"measure needs a path X of the shape (M, {D}) and theta of the shape ({P},), got "
                f"{path.shape} and {values.shape}."
            )
        return self.engine.measure(path, values)[:, : self._channels]

    def measure_slopes(self, X: FloatArray, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(M, L) and (M, L, D + P); see `Kernels.measure_slopes`."""
        rows, columns = (
            np.asarray(part, dtype=np.int64)
            for part in self.functions["measure_jacobian"].sparsity_out(0).get_triplet()
        )
        slopes = np.zeros((len(X), self._channels, X.shape[1] + len(theta)))
        own = rows < self._channels
        slopes[:, rows[own], columns[own]] = self.engine.measure_jacobian(X, theta)[:, own]
        return self.engine.measure(X, theta)[:, : self._channels], slopes

    @property
    def _channels(self) -> int:
        size = int(self.functions["point_action"].size1_in(2))
        return (size - self.pairs) // 2 - self.paid

    def payload(self, problem: Problem, parts: frozenset[str] = frozenset(), /) -> BlockPayload:
        """Return what another process needs; see `Kernels.payload`."""
        field = serial(self.field or {}) if "field" in parts else ()
        initial = serial(self.initial)
        if isinstance(self.engine, CompiledEngine):
            solver = self.structured(problem) if "lanes" in parts else None
            newton = "" if solver is None else str(solver)
            library = str(self.engine.library)
            functions: tuple[tuple[str, str], ...] = ()
        else:
            library, newton, functions = "", "", serial(self.functions)
        sizes = self.paid, self.pairs
        return BlockPayload(self.emitted, library, functions, newton, field, initial, *sizes)


class BlockEvaluator(Evaluator):
    """Kernels with blocks, and the data of one problem."""

    kernels: BlockKernels

    def _sizes(self) -> Mapping[str, int]:
        step = self.kernels.functions["step_gradient"]
        point = self.kernels.functions["point_action"]
        D = step.size1_in(3)
        return {
            "D": D,
            "P": step.size1_in(1),
            "L": (point.size1_in(2) - self.kernels.pairs) // 2 - self.kernels.paid,
            "C": self.kernels.paid,
            "E": step.size1_in(0) - D,
            "3 + S U": step.size1_in(2),
        }

    def terms(self, X: ArrayLike, theta: ArrayLike, rf: ArrayLike) -> tuple[float, float]:
        """Measurement term and model term of the action."""
        path, parameters = self.split(X, theta)
        engine, values = self.kernels.engine, self.packed.pieces(parameters)
        model = engine.step_action(path, values, self.packed.steps, self.by_step(rf))
        at, own = self.packed.row_states(path), self.packed.row_pieces(parameters)
        data = engine.point_action(at, own, self.packed.points)
        squares, priors = (self._paid(path, parameters, prior=prior) for prior in (False, True))
        return float(data.sum()) - squares - priors, float(model.sum()) + squares

    def by_step(self, rf: ArrayLike) -> FloatArray:
        """Return Rf as the steps take it, (D,), or (N, D) where they are not alike."""
        return self.problem.by_step(self.precision(rf))

    def _paid(self, path: FloatArray, parameters: FloatArray, *, prior: bool) -> float:
        """Return what the squares of controls cost, or the values that have priors."""
        points = self.packed.paid[prior]
        if points is None:
            return 0.0
        at, own = self.packed.row_states(path), self.packed.row_pieces(parameters)
        return float(self.kernels.engine.point_action(at, own, points).sum())

    def value_and_gradient(
        self, X: ArrayLike, theta: ArrayLike, rf: ArrayLike
    ) -> tuple[float, FloatArray]:
        """Return action and gradient (M D + P,)."""
        path, parameters = self.split(X, theta)
        value, gradient = self._by_all(path, parameters, rf)
        return value, self.given.fold(gradient, parameters)

    def first_slopes(self, X: FloatArray, theta: FloatArray, rf: ArrayLike) -> FloatArray:
        """Return the derivatives by the first states, as if they were free, (S, D).

        Zero where none is a function of theta: nothing asks for them.
        """
        at = self.problem.first_unknowns
        return self._by_all(X, theta, rf)[1][at] if self.given.tied else np.zeros(at.shape)

    def _by_all(
        self, path: FloatArray, parameters: FloatArray, rf: ArrayLike
    ) -> tuple[float, FloatArray]:
        """Return action and gradient, given initial values being taken for unknowns."""
        p = self.problem
        engine, values = self.kernels.engine, self.packed.pieces(parameters)
        model, by_step = engine.step_gradient(path, values, self.packed.steps, self.by_step(rf))
        data, by_row = engine.point_gradient(
            self.packed.row_states(path), self.packed.row_pieces(parameters), self.packed.points
        )
        on_path = p.unknowns.on_path
        gradient = np.zeros(p.unknowns.count)
        gradient[:on_path] = self.packed.by_point(by_row[:, : p.D]).reshape(-1)
        for s, (segment, use) in enumerate(zip(p.segments, p.use, strict=True)):
            steps, rows = by_step[segment.own_steps], by_row[self.packed.own_rows(s)]
            begin = segment.first_point * p.D
            gradient[begin : begin + segment.steps * p.E] += steps[:, : p.E].reshape(-1)
            by_theta = rows[:, p.D :].sum(axis=0) + steps[:, p.E + p.D :].sum(axis=0)
            gradient[on_path + use] += by_theta
        gradient[self._ends] += by_step[:, p.E : p.E + p.D]
        total = float(data.sum() + model.sum())
        if engine.has_prior:
            before, by_first = engine.prior_gradient(*self._firsts(path, parameters))
            np.add.at(gradient, self.layout.prior_unknowns, by_first)
            total += float(before.sum())
        return total, gradient

    def _firsts(self, path: FloatArray, theta: FloatArray) -> tuple[FloatArray, Theta, FloatArray]:
        """Return what the prior is a function of: first states, parameters, and of which it is."""
        packed = self.packed
        first = np.ascontiguousarray(path[packed.first_points[:-1]])
        return first, packed.first_pieces(theta), packed.own

    def prior(self, X: ArrayLike, theta: ArrayLike) -> float:
        """Prior term of the action."""
        path, parameters = self.split(X, theta)
        values = self.prior_of_values(path, parameters)
        if not self.kernels.engine.has_prior:
            return values
        first = self.kernels.engine.prior_action(*self._firsts(path, parameters))
        return float(first.sum()) + values

    def prior_of_values(self, X: FloatArray, theta: FloatArray) -> float:
        """Return the part of it that values of parameters per step pay."""
        return self._paid(X, theta, prior=True)

    def prior_hessian(self, X: FloatArray, theta: FloatArray) -> FloatArray:
        """Nonzeros of the prior's Hessian, (S, nonzeros); none without a prior."""
        engine = self.kernels.engine
        if not engine.has_prior:
            return np.empty((len(self.problem.segments), 0))
        return engine.prior_hessian(*self._firsts(X, theta))

    def nonzeros(
        self,
        by_step: FloatArray,
        by_row: FloatArray,
        X: FloatArray,
        theta: FloatArray,
        slope: FloatArray,
    ) -> FloatArray:
        """Nonzeros of the Hessian, as `layout.folded` adds them up.

        Parameters
        ----------
        by_step, by_row : (N, ...), (M + R, ...)
            Nonzeros of the Hessians of steps and rows of data.
        X, theta
            Where.
        slope : (S, D)
            See `first_slopes`; 0 leaves the curvature of initial values out.
        """
        parts = [by_step, by_row]
        if self.kernels.engine.has_prior:
            parts.append(self.prior_hessian(X, theta))
        change = self.given.changes(self.layout, parts, slope, theta)
        return np.concatenate([*(part.reshape(-1) for part in parts), change])

    def felt(self, X: FloatArray, theta: FloatArray) -> BoolArray:
        """Return which parameters change a step or what a datum costs, to first order, (P,)."""
        engine, own = self.kernels.engine, self.packed.row_pieces(theta)
        D, found = (
            self.problem.D,
            self.residual_jacobian(X, theta)[:, self.problem.unknowns.on_path :],
        )
        by_steps = np.asarray(abs(found).sum(axis=0)).reshape(-1) > 0.0
        by_row = engine.point_hessian(self.packed.row_states(X), own, self.packed.points) != 0.0
        places = self.kernels.functions["point_hessian"].sparsity_out(0).get_triplet()
        for k, place in enumerate(np.asarray(places[1], dtype=np.int64)):
            if place >= D:
                by_steps[self.layout.point_unknowns[by_row[:, k], place] - self.problem.M * D] = (
                    True
                )
        return by_steps

    def predictors(self, X: FloatArray, theta: FloatArray) -> FloatArray:
        """Return what the cost of each row of data depends on, (M + R, Q); the first L are h."""
        packed = self.packed
        return self.kernels.engine.measure(packed.row_states(X), packed.row_pieces(theta))

    @cached_property
    def _ends(self) -> IntArray:
        """Unknowns that each step ends at, (N, D)."""
        return self.problem.windows[:, None] + self.problem.E + np.arange(self.problem.D)

    def hessian(self, X: ArrayLike, theta: ArrayLike, rf: ArrayLike) -> csc_array:
        """Hessian of the action, sparse, symmetric."""
        from scipy.sparse import triu

        path, parameters = self.split(X, theta)
        engine, values = self.kernels.engine, self.packed.pieces(parameters)
        by_step = engine.step_hessian(path, values, self.packed.steps, self.by_step(rf))
        at, own = self.packed.row_states(path), self.packed.row_pieces(parameters)
        by_point = engine.point_hessian(at, own, self.packed.points)
        first = self.first_slopes(path, parameters, rf)
        nonzeros = self.nonzeros(by_step, by_point, path, parameters, first)
        upper = self.layout.folded.assemble(nonzeros)
        full: csc_array = (upper + triu(upper, 1).T).tocsc()
        return full

    def data_hessian(self, X: FloatArray, theta: FloatArray) -> csc_array:
        """Gauss-Newton's Hessian of what data and priors cost, without the steps."""
        from scipy.sparse import triu

        packed, engine = self.packed, self.kernels.engine
        path, values = self.split(X, theta)
        none = np.zeros((self.problem.N, self.kernels.functions["step_hessian"].nnz_out(0)))
        by_row = engine.point_gauss_newton(
            packed.row_states(path), packed.row_pieces(values), packed.points
        )
        nonzeros = self.nonzeros(none, by_row, path, values, np.zeros_like(self.problem.initial))
        upper = self.layout.folded.assemble(nonzeros)
        full: csc_array = (upper + triu(upper, 1).T).tocsc()
        return full

    def hessian_product(
        self, X: ArrayLike, theta: ArrayLike, rf: ArrayLike, v: ArrayLike
    ) -> FloatArray:
        """Hessian of the action times `v`, (M D + P,)."""
        product: FloatArray = self.hessian(X, theta, rf) @ self.direction(v)
        return product

    def residual_jacobian(self, X: ArrayLike, theta: ArrayLike) -> csr_array:
        """Jacobian of all residuals, sparse (N E, M D + P)."""
        path, values = self.split(X, theta)
        engine = self.kernels.engine
        nonzeros = engine.step_jacobian(path, self.packed.pieces(values), self.packed.steps)
        found: csr_array = self.layout.jacobian.assemble(nonzeros.reshape(-1)).tocsr()
        return self.given.columns(found, values)

    def measure_jacobian(self, X: ArrayLike, theta: ArrayLike) -> csr_array:
        """Jacobian of what is measured, and paid, at all points, (M (L + C), M D + P)."""
        from scipy.sparse import csr_array

        p = self.problem
        _, measured = self.measure_slopes(X, theta)
        slopes = np.zeros((p.M, p.L + len(p.paid), measured.shape[-1]))
        slopes[:, : p.L] = measured
        slopes[:, p.L + np.arange(len(p.paid)), p.paid] = 1.0
        at = np.broadcast_to(self.layout.measure_unknowns[:, None, :], slopes.shape)
        count = p.M * (p.L + len(p.paid))
        rows = np.repeat(np.arange(count), slopes.shape[-1])
        found = csr_array(
            (slopes.reshape(-1), (rows, at.reshape(-1))), shape=(count, p.unknowns.count)
        )
        found.eliminate_zeros()
        return self.given.columns(found, np.asarray(theta, dtype=float))

    @cached_property
    def layout(self) -> ProblemLayout:
        """Where each step's and point's numbers belong in the whole problem."""
        return ProblemLayout(self.kernels.functions, self.problem)


def blocks_of(kernels: Kernels, what: str) -> BlockKernels:
    """Return kernels that have blocks.

    Raises
    ------
    OptionError
        If they have not; the message says that there is no `what`.
    """
    if not isinstance(kernels, BlockKernels):
        raise OptionError(
            f"There is no {what}: the kernels of a large lattice are matrix-free. Use products "
            "(hessian_product), solver='newton' or 'lbfgs' and an explicit scheme, or "
            "sd.Action(..., matrix_free=False) where blocks of D x D fit."
        )
    return kernels


def matrices_of(evaluator: Evaluator, what: str) -> BlockEvaluator:
    """Return an evaluator that has matrices; raises as `blocks_of` does."""
    blocks_of(evaluator.kernels, what)
    return cast("BlockEvaluator", evaluator)


def has_matrices(evaluator: Evaluator) -> TypeGuard[BlockEvaluator]:
    """Whether there are Hessians and Jacobians, and not only products with them."""
    return "hessian" in evaluator.kernels.provides


def compiled_kernels(
    artefact: Artefact,
    newton: Callable[..., Path] | None = None,
    field: Mapping[str, ca.Function] | None = None,
    initial: Mapping[str, ca.Function] = MappingProxyType({}),
    paid: int = 0,
    pairs: int = 0,
) -> BlockKernels:
    """Kernels of a compiled module; `newton` builds the structured solver's library."""
    engine = CompiledEngine(artefact.library, artefact.source.digest[:DIGEST_DIGITS])
    return BlockKernels(engine, artefact.source, newton, field, initial, paid, pairs)


def virtual_kernels(
    functions: Mapping[str, ca.Function],
    source: Source,
    field: Mapping[str, ca.Function] | None = None,
    initial: Mapping[str, ca.Function] = MappingProxyType({}),
    paid: int = 0,
    pairs: int = 0,
) -> BlockKernels:
    """Kernels on CasADi's virtual machine."""
    return BlockKernels(VirtualEngine(functions), source, None, field, initial, paid, pairs)
