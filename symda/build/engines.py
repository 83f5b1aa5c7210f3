"""Two engines for the per-step functions: compiled code, and CasADi's interpreter."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeAlias

import numpy as np

from symda.build.load import load
from symda.types import FloatArray, IntArray

if TYPE_CHECKING:
    import casadi as ca


#: The per-step and per-point functions every engine has, under CasADi's calling convention.
STEP_FUNCTIONS = (
    "step_action",
    "step_gradient",
    "step_hessian",
    "step_residual",
    "step_jacobian",
    "step_curvature",
    "point_action",
    "point_gradient",
    "point_hessian",
    "point_gauss_newton",
    "measure",
    "measure_jacobian",
)
#: Those of a problem with priors.
PRIOR_FUNCTIONS = ("prior_action", "prior_gradient", "prior_hessian")


@dataclass(frozen=True, eq=False)
class Pieces:
    """A path of several experiments, one after the other: their parameters, where each begins.

    Attributes
    ----------
    theta : (S, P)
        Parameters of each experiment.
    steps, points : (S + 1,)
        First step and first grid point of each; then the numbers of all.
    """

    theta: FloatArray
    steps: IntArray
    points: IntArray


#: Parameters (P,) of a path that is one piece, or those of several pieces.
Theta: TypeAlias = FloatArray | Pieces


class Engine(ABC):
    """Evaluates all steps, or all grid points, of a path at once.

    Arrays are C-contiguous float64: `X` (M, D), `theta` (P,) or `Pieces`, `steps` (N, 3 + S U),
    `points` (M, 2 L), `rf` (D,) or (N, D), `lam` (N, E). Sparse results are nonzeros, in the order
    of the function's output sparsity.

    Attributes
    ----------
    functions : mapping of name to casadi.Function
        Those of `STEP_FUNCTIONS`, for one step or point.
    """

    kind: ClassVar[str]
    functions: Mapping[str, ca.Function]

    @abstractmethod
    def _steps(self, name: str, X: FloatArray, theta: Theta, *data: FloatArray) -> list[FloatArray]:
        """Results of a function of each step, (N, size) each."""

    @abstractmethod
    def _points(
        self, name: str, X: FloatArray, theta: Theta, *data: FloatArray
    ) -> list[FloatArray]:
        """Results of a function of each grid point, (M, size) each."""

    def step_action(
        self, X: FloatArray, theta: Theta, steps: FloatArray, rf: FloatArray
    ) -> FloatArray:
        """(N,)."""
        return self._weighed("step_action", X, theta, steps, rf)[0][:, 0]

    def step_gradient(
        self, X: FloatArray, theta: Theta, steps: FloatArray, rf: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """(N,) and (N, E + D + P)."""
        action, gradient = self._weighed("step_gradient", X, theta, steps, rf)
        return action[:, 0], gradient

    def step_hessian(
        self, X: FloatArray, theta: Theta, steps: FloatArray, rf: FloatArray
    ) -> FloatArray:
        """(N, nonzeros)."""
        return self._weighed("step_hessian", X, theta, steps, rf)[0]

    def _weighed(
        self, name: str, X: FloatArray, theta: Theta, steps: FloatArray, rf: FloatArray
    ) -> list[FloatArray]:
        """Results of a function of each step and its Rf; where there are several, of each alone."""
        if rf.ndim == 1:
            return self._steps(name, X, theta, steps, rf)
        each, which = np.unique(rf, axis=0, return_inverse=True)
        found = [self._steps(name, X, theta, steps, one) for one in each]
        rows = np.arange(len(steps))
        return [np.stack(parts)[which.reshape(-1), rows] for parts in zip(*found, strict=True)]

    def step_residual(self, X: FloatArray, theta: Theta, steps: FloatArray) -> FloatArray:
        """(N, E)."""
        return self._steps("step_residual", X, theta, steps)[0]

    def step_jacobian(self, X: FloatArray, theta: Theta, steps: FloatArray) -> FloatArray:
        """(N, nonzeros)."""
        return self._steps("step_jacobian", X, theta, steps)[0]

    def step_curvature(
        self, X: FloatArray, theta: Theta, steps: FloatArray, lam: FloatArray
    ) -> FloatArray:
        """(N, nonzeros)."""
        return self._steps("step_curvature", X, theta, steps, lam)[0]

    def point_action(self, X: FloatArray, theta: Theta, points: FloatArray) -> FloatArray:
        """(M,)."""
        return self._points("point_action", X, theta, points)[0][:, 0]

    def point_gradient(
        self, X: FloatArray, theta: Theta, points: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """(M,) and (M, D + P)."""
        action, gradient = self._points("point_gradient", X, theta, points)
        return action[:, 0], gradient

    def point_hessian(self, X: FloatArray, theta: Theta, points: FloatArray) -> FloatArray:
        """(M, nonzeros)."""
        return self._points("point_hessian", X, theta, points)[0]

    def point_gauss_newton(self, X: FloatArray, theta: Theta, points: FloatArray) -> FloatArray:
        """(M, nonzeros), those of `point_hessian`."""
        return self._points("point_gauss_newton", X, theta, points)[0]

    @property
    def has_prior(self) -> bool:
        """Whether there is a prior."""
        return "prior_action" in self.functions

    def prior_action(self, first: FloatArray, theta: Theta, own: FloatArray) -> FloatArray:
        """-log of the prior of first states (S, D), (S,); `own` (S, P) says of which parameters."""
        return self._points("prior_action", first, theta, own)[0][:, 0]

    def prior_gradient(
        self, first: FloatArray, theta: Theta, own: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """(S,) and (S, D + P)."""
        action, gradient = self._points("prior_gradient", first, theta, own)
        return action[:, 0], gradient

    def prior_hessian(self, first: FloatArray, theta: Theta, own: FloatArray) -> FloatArray:
        """(S, nonzeros)."""
        return self._points("prior_hessian", first, theta, own)[0]

    def measure(self, X: FloatArray, theta: Theta) -> FloatArray:
        """(M, Q): the predictors, of which the first L are h."""
        return self._points("measure", X, theta)[0]

    def measure_jacobian(self, X: FloatArray, theta: Theta) -> FloatArray:
        """(M, nonzeros)."""
        return self._points("measure_jacobian", X, theta)[0]


class CompiledEngine(Engine):
    """The emitted module: whole paths in one call without the GIL, single steps for CasADi.

    Parameters
    ----------
    digest : str
        First digits of the source's digest, part of every exported symbol.
    """

    kind = "compiled"

    def __init__(self, library: Path, digest: str) -> None:
        self.library = library
        self._module = load(library)
        self._prefix = f"symda_{digest}_"

    @cached_property
    def functions(self) -> Mapping[str, ca.Function]:  # type: ignore[override]  # never set
        """The functions of `STEP_FUNCTIONS` as CasADi externals."""
        import casadi as ca

        return {
            name: ca.external(self._prefix + name, str(self.library))
            for name in (*STEP_FUNCTIONS, *PRIOR_FUNCTIONS)
            if hasattr(self._module, name) or name in STEP_FUNCTIONS
        }

    @cached_property
    def _sizes(self) -> dict[str, list[int]]:
        return {
            name: [f.nnz_out(i) for i in range(f.n_out())] for name, f in self.functions.items()
        }

    def _steps(self, name: str, X: FloatArray, theta: Theta, *data: FloatArray) -> list[FloatArray]:
        count = len(data[0])
        if isinstance(theta, Pieces):
            return self._call(name, count, _Cut(theta.steps), X, theta.theta, *data)
        return self._call(name, count, _whole(count), X, theta, *data)

    def _points(
        self, name: str, X: FloatArray, theta: Theta, *data: FloatArray
    ) -> list[FloatArray]:
        count = len(X)
        if isinstance(theta, Pieces):
            return self._call(name, count, _Cut(theta.points), X, theta.theta, *data)
        return self._call(name, count, _whole(count), X, theta, *data)

    def _call(self, name: str, count: int, cut: _Cut, *arguments: FloatArray) -> list[FloatArray]:
        out = [np.empty((count, size)) for size in self._sizes[name]]
        # `measure` itself is that of one point
        function = getattr(self._module, f"{name}_path" if name.startswith("measure") else name)
        function(*addresses(*arguments), cut.address, cut.pieces, *addresses(*out))
        return out


class VirtualEngine(Engine):
    """CasADi's interpreter on the SX functions of `symda.derive.step`: no compiler needed, slower.

    Parameters
    ----------
    functions : mapping of name to casadi.Function
        The functions of `STEP_FUNCTIONS`.
    """

    kind = "virtual machine"

    def __init__(self, functions: Mapping[str, ca.Function]) -> None:
        self.functions = functions
        self._maps: dict[tuple[str, int], ca.Function] = {}

    def _call(self, name: str, count: int, *arguments: FloatArray) -> list[FloatArray]:
        """Map a function over `count` columns; a function's sparse result becomes its nonzeros."""
        import casadi as ca

        if (name, count) not in self._maps:
            f = self.functions[name]
            inputs = [ca.MX.sym(f.name_in(i), f.size1_in(i)) for i in range(f.n_in())]
            # CasADi knows that a constant 0 is one, and drops it
            outputs = [
                ca.densify(o) if f.sparsity_out(i).is_dense() else o
                for i, o in enumerate(f.call(inputs))
            ]
            # the nonzeros of a row are a row
            flat = [ca.vec(o if o.is_dense() else o.nz[:]) for o in outputs]
            self._maps[name, count] = ca.Function(name, inputs, flat).map(count)
        results = self._maps[name, count].call([np.asfortranarray(a) for a in arguments])
        return [np.ascontiguousarray(np.asarray(result.full()).T) for result in results]

    def _steps(self, name: str, X: FloatArray, theta: Theta, *data: FloatArray) -> list[FloatArray]:
        count = len(data[0])
        firsts = theta.steps if isinstance(theta, Pieces) else _whole(count).firsts
        shift = np.repeat(np.arange(len(firsts) - 1), np.diff(firsts))
        stride = (len(X) - len(firsts) + 1) // count
        points = np.arange(count) * stride + shift
        windows = X[points[:, None] + np.arange(stride + 1)].reshape(count, -1)
        columns = [d.T if d.ndim == 2 else np.repeat(d[:, None], count, 1) for d in data]
        return self._call(name, count, windows.T, _repeated(theta, firsts), *columns)

    def _points(
        self, name: str, X: FloatArray, theta: Theta, *data: FloatArray
    ) -> list[FloatArray]:
        firsts = theta.points if isinstance(theta, Pieces) else _whole(len(X)).firsts
        return self._call(name, len(X), X.T, _repeated(theta, firsts), *[d.T for d in data])


class _Cut:
    """The first steps, or points, of some pieces, and the number of all; and their address."""

    def __init__(self, firsts: IntArray) -> None:
        self.firsts, self.pieces = firsts, len(firsts) - 1
        self.address: int = firsts.__array_interface__["data"][0]


@lru_cache(maxsize=64)
def _whole(count: int) -> _Cut:
    """Say that all steps, or points, are one piece."""
    return _Cut(np.array([0, count], dtype=np.int64))


def _repeated(theta: Theta, firsts: IntArray) -> FloatArray:
    """Parameters of every step, or point, a column each."""
    if isinstance(theta, Pieces):
        return np.repeat(theta.theta.T, np.diff(firsts), axis=1)
    return np.repeat(theta[:, None], firsts[-1], axis=1)


def addresses(*arrays: FloatArray) -> tuple[int, ...]:
    """Addresses; the kernels read C-contiguous doubles and check nothing."""
    for array in arrays:
        if array.dtype != np.float64 or not array.flags.c_contiguous:
            raise TypeError("engines take C-contiguous float64 arrays only")
    return tuple(array.__array_interface__["data"][0] for array in arrays)
