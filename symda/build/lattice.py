"""Kernels of large lattices: the action and products of its derivatives, never a matrix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from symda.build.abstract import Evaluator, Kernels, Payload
from symda.build.engines import Pieces, Theta
from symda.build.lattice_engines import CompiledLattice, LatticeEngine, VirtualLattice
from symda.build.serial import functions_of
from symda.derive.coupling import Coupling
from symda.errors import InputError, OptionError
from symda.types import FloatArray, IntArray

if TYPE_CHECKING:
    import casadi as ca

    from symda.build.compile import Artefact
    from symda.derive.lattice import LatticeField
    from symda.discretise import Scheme
    from symda.emit.source import Source
    from symda.observe import Problem


NO_COUPLING = Coupling()
#: Functions of the measured expressions; see `symda.derive.lattice.Expressions`.
OF_EXPRESSIONS = ("value", "gradient", "product", "diagonal")


@dataclass(frozen=True)
class LatticeShape:
    """What evaluating needs to know besides the functions."""

    #: Sizes; `width` counts the numbers of data a step has.
    D: int
    P: int
    L: int
    E: int
    width: int
    fields: int  #: Fields on the sites.
    discrete: bool  #: Whether the model is a map.
    direct: tuple[int, ...]  #: State index where a channel is a plain state, else -1, (L,).
    #: The channels that are expressions, and the states they use.
    channels: tuple[int, ...]
    states: tuple[int, ...]
    coupling: Coupling = NO_COUPLING

    @classmethod
    def of(cls, field: LatticeField, scheme: Scheme) -> LatticeShape:
        """Shape of a lattice problem."""
        own = field.expressions
        E, width = field.D * (1 + len(scheme.interior)), 3 + len(scheme.abscissae) * field.U
        return cls(
            field.D,
            field.P,
            field.L,
            E,
            width,
            len(field.model.fields),
            scheme.discrete,
            field.direct,
            own.channels,
            own.states,
            Coupling.of(field, scheme),
        )


@dataclass(frozen=True)
class LatticePayload(Payload):
    """Plain data that lattice kernels are rebuilt from in another process."""

    shape: LatticeShape = LatticeShape(0, 0, 0, 0, 0, 0, False, (), (), ())

    def restore(self) -> LatticeKernels:
        """Rebuild the kernels."""
        functions = functions_of(self.functions)
        own = {name: functions.pop(name) for name in OF_EXPRESSIONS}
        engine: LatticeEngine = (
            CompiledLattice(Path(self.library)) if self.library else VirtualLattice(functions)
        )
        return LatticeKernels(engine, self.source, self.shape, own)


class LatticeKernels(Kernels):
    """Action, gradient and Hessian products of a lattice model under a scheme.

    Parameters
    ----------
    engine : LatticeEngine
        What evaluates the model term.
    shape : LatticeShape
        Sizes and what is measured.
    expressions : mapping of name to casadi.Function
        `OF_EXPRESSIONS`.
    """

    provides = frozenset({"gradient", "product"})

    def __init__(
        self,
        engine: LatticeEngine,
        source: Source,
        shape: LatticeShape,
        expressions: Mapping[str, ca.Function],
    ) -> None:
        self.lattice = engine
        self.emitted = source
        self.shape = shape
        self.expressions = expressions

    @property
    def kind(self) -> str:
        """``"compiled"`` or ``"virtual machine"``."""
        return self.lattice.kind

    def at(self, problem: Problem) -> LatticeEvaluator:
        """Bind a problem, so that its data are laid out once."""
        return LatticeEvaluator(self, problem)

    def structured(self, problem: Problem) -> None:
        """There is none: it works on blocks."""

    def step_residual(self, X: FloatArray, theta: Theta, steps: FloatArray) -> FloatArray:
        """Residuals (N, E), of one piece; see `Kernels.step_residual`."""
        assert not isinstance(theta, Pieces)
        return self.lattice.residual(X, theta, steps)

    def measure_slopes(self, X: FloatArray, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(M, L) and (M, L, D + P); see `Kernels.measure_slopes`."""
        shape, h = self.shape, self.measure(X, theta)
        slopes = np.zeros((len(X), shape.L, shape.D + shape.P))
        for l, a in enumerate(shape.direct):
            if a >= 0:
                slopes[:, l, a] = 1.0
        own, states = list(shape.channels), list(shape.states)
        for i, l in enumerate(own):
            # with Rm = 1 for channel l alone, and data one below h, the gradient of
            # Rm/2 (h_l - y_l)^2 is that of h_l
            rm = np.zeros((len(X), len(own)))
            rm[:, i] = 1.0
            columns = self.on_points("gradient", X, theta, h[:, own] - 1.0, rm)[1]
            slopes[:, l, states] = columns[: len(states)].T
            slopes[:, l, shape.D :] = columns[len(states) :].T
        return h, slopes

    def measure(self, X: ArrayLike, theta: ArrayLike) -> FloatArray:
        """Measurement functions along a path of any length, shape (M, L)."""
        path, values = np.asarray(X, dtype=float), np.asarray(theta, dtype=float)
        shape = self.shape
        if path.ndim != 2 or path.shape[1] != shape.D or values.shape != (shape.P,):
            raise InputError(
                f"measure needs a path X of the shape (M, {shape.D}) and theta of the shape "
                f"({shape.P},), got {path.shape} and {values.shape}."
            )
        h = path[:, list(shape.direct)]  # index -1 is overwritten below
        if shape.channels:
            h[:, list(shape.channels)] = self.on_points("value", path, values)[0].T
        return h

    def on_points(
        self, name: str, X: FloatArray, theta: FloatArray, *data: FloatArray
    ) -> list[FloatArray]:
        """Evaluate an expressions' function at every grid point; `data` are (M, .); columns."""
        count = len(X)
        z = X[:, list(self.shape.states)]
        columns = [z.T, np.repeat(theta[:, None], count, 1), *[d.T for d in data]]
        mapped = self.expressions[name].map(count)
        results = mapped.call([np.asfortranarray(column) for column in columns])
        return [np.asarray(result.full()) for result in results]

    def payload(self, _problem: Problem, _parts: frozenset[str] = frozenset(), /) -> LatticePayload:
        """Return what another process needs to rebuild these kernels."""
        functions = dict(self.expressions)
        library = ""
        if isinstance(self.lattice, CompiledLattice):
            library = str(self.lattice.library)
        elif isinstance(self.lattice, VirtualLattice):
            functions |= self.lattice.functions
        serial = tuple((name, f.serialize()) for name, f in functions.items())
        return LatticePayload(self.emitted, library, serial, shape=self.shape)


class LatticeEvaluator(Evaluator):
    """Lattice kernels with the data of one problem."""

    kernels: LatticeKernels

    def _sizes(self) -> Mapping[str, int]:
        own = self.kernels.shape
        return {"D": own.D, "P": own.P, "L": own.L, "E": own.E, "3 + S U": own.width, "C": 0}

    def _check_sizes(self) -> None:
        """Refuse a problem of other sizes, or with several values of one time."""
        super()._check_sizes()
        if len(self.problem.repeat_at):
            raise OptionError(
                "These kernels of a large lattice take one value a channel and time, and at t = "
                f"{self.problem.times[self.problem.repeat_at[0]]:.6g} there are several. Average "
                "them, and divide their variance by how many there are."
            )

    @cached_property
    def _plain(self) -> tuple[IntArray, IntArray]:
        """Channels that are plain states, and the states that they are."""
        direct = np.array(self.kernels.shape.direct, dtype=np.int64)
        channels = np.flatnonzero(direct >= 0)
        return channels, direct[channels]

    @cached_property
    def _data(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Data and weights of the plain channels, then of the expressions."""
        p, own = self.problem, list(self.kernels.shape.channels)
        plain = self._plain[0]
        return p.y[:, plain], p.rm[:, plain], p.y[:, own], p.rm[:, own]

    def terms(self, X: ArrayLike, theta: ArrayLike, rf: ArrayLike) -> tuple[float, float]:
        """Measurement term and model term of the action."""
        path, values = self.split(X, theta)
        model = self.kernels.lattice.action(path, values, self.packed.steps, self.precision(rf))
        return self._misfit(path, values, None), model

    def value_and_gradient(
        self, X: ArrayLike, theta: ArrayLike, rf: ArrayLike
    ) -> tuple[float, FloatArray]:
        """Return action and gradient (M D + P,)."""
        path, values = self.split(X, theta)
        gradient = np.zeros(path.size + values.size)
        model = self.kernels.lattice.gradient(
            path, values, self.packed.steps, self.precision(rf), gradient
        )
        return self._misfit(path, values, gradient) + model, gradient

    def hessian_product(
        self,
        X: ArrayLike,
        theta: ArrayLike,
        rf: ArrayLike,
        v: ArrayLike,
        *,
        exact: bool = True,
    ) -> FloatArray:
        """Hessian of the action, or Gauss-Newton's without curvatures, times `v`, (M D + P,)."""
        path, values = self.split(X, theta)
        direction = self.direction(v)
        V, w = direction[: path.size].reshape(path.shape), direction[path.size :]
        product = np.zeros(direction.size)
        self.kernels.lattice.product(
            path, values, V, w, self.packed.steps, self.precision(rf), product, exact=exact
        )
        on_path = product[: path.size].reshape(path.shape)
        _, states = self._plain
        _, rm, y_own, rm_own = self._data
        on_path[:, states] += rm * V[:, states]
        own = self.kernels.shape
        if own.channels:
            dtheta = np.repeat(w[None, :], len(path), 0)
            dz = V[:, list(own.states)]
            # data that h fits leave no misfit, so no curvature of h either
            y = y_own if exact else self.kernels.on_points("value", path, values)[0].T
            (columns,) = self.kernels.on_points("product", path, values, y, rm_own, dz, dtheta)
            on_path[:, list(own.states)] += columns[: len(own.states)].T
            product[path.size :] += columns[len(own.states) :].sum(axis=1)
        return product

    def measured_diagonal(self, X: FloatArray, theta: FloatArray) -> FloatArray:
        """Diagonal of the measurement term's Hessian without curvatures of h, (M, D)."""
        found = np.zeros(X.shape)
        _, states = self._plain
        _, rm, _, rm_own = self._data
        found[:, states] += rm
        own = self.kernels.shape
        if own.channels:
            (columns,) = self.kernels.on_points("diagonal", X, theta, rm_own)
            found[:, list(own.states)] += columns.T
        return found

    def _misfit(self, path: FloatArray, theta: FloatArray, gradient: FloatArray | None) -> float:
        """Measurement term; its gradient is added to `gradient`."""
        _, states = self._plain
        y, rm, y_own, rm_own = self._data
        error = path[:, states] - y
        weighted = rm * error
        total = 0.5 * float(np.sum(weighted * error))
        if gradient is not None:
            gradient[: path.size].reshape(path.shape)[:, states] += weighted
        own = self.kernels.shape
        if own.channels:
            value, columns = self.kernels.on_points("gradient", path, theta, y_own, rm_own)
            total += float(value.sum())
            if gradient is not None:
                on_path = gradient[: path.size].reshape(path.shape)
                on_path[:, list(own.states)] += columns[: len(own.states)].T
                gradient[path.size :] += columns[len(own.states) :].sum(axis=1)
        return total


def lattice_kernels(
    engine: LatticeEngine, source: Source, shape: LatticeShape, field: LatticeField
) -> LatticeKernels:
    """Kernels of a lattice on an engine."""
    own = field.expressions
    functions = {name: getattr(own, name) for name in OF_EXPRESSIONS}
    return LatticeKernels(engine, source, shape, functions)


def compiled_lattice(
    artefact: Artefact, shape: LatticeShape, field: LatticeField
) -> LatticeKernels:
    """Kernels of a compiled module."""
    return lattice_kernels(CompiledLattice(artefact.library), artefact.source, shape, field)
