"""`ActionKernels`: kernels that take what users hold (observations, named parameters)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from reprlib import repr as short
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from symda.build.kernels import matrices_of
from symda.errors import InputError, nearest
from symda.types import FloatArray

if TYPE_CHECKING:
    from scipy.sparse import csc_array

    from symda.api.specification import Data, Specification
    from symda.build.abstract import Evaluator, Kernels
    from symda.observe import Problem

Theta: TypeAlias = ArrayLike | Mapping[str, float]


class ActionKernels:
    """The kernels of an action.

    Unknowns are ordered (flat path, theta), M D + P numbers. `X` is a path of shape (M, D),
    `theta` an array (P,) or a mapping of names, `rf` a number or one a state, `data` the
    observations (put on a grid of one step an interval) or what `Action.bind` made of them. Where
    states or parameters have a scale, `X` and `theta` are their values all the same; derivatives
    and residuals are by and of what solvers move, such as logarithms.

    Parameters
    ----------
    specification : Specification
        Of the action whose kernels these are.
    machine : Kernels
        What evaluates them.
    of : function
        What evaluates a problem: of correlated noise with other kernels than `machine`, unless the
        action was made for it.
    """

    def __init__(
        self, specification: Specification, machine: Kernels, of: Callable[[Problem], Kernels]
    ) -> None:
        self._specification = specification
        self.machine = machine
        self._of = of

    def __repr__(self) -> str:
        return f"<kernels of {self._specification!r}, {self.kind}>"

    @property
    def kind(self) -> str:
        """``"compiled"`` or ``"virtual machine"``."""
        return self.machine.kind

    @property
    def source(self) -> str:
        """The emitted Cython text."""
        return self.machine.source

    def action(self, X: ArrayLike, theta: Theta, rf: ArrayLike, data: Data) -> float:
        """Return the action A(X, theta)."""
        at = self._at(data)
        return at.action(*self._point(at, X, theta), numbers(rf, "rf"))

    def terms(self, X: ArrayLike, theta: Theta, rf: ArrayLike, data: Data) -> tuple[float, float]:
        """Measurement term and model term."""
        at = self._at(data)
        return at.terms(*self._point(at, X, theta), numbers(rf, "rf"))

    def gradient(self, X: ArrayLike, theta: Theta, rf: ArrayLike, data: Data) -> FloatArray:
        """Gradient, shape (M D + P,)."""
        at = self._at(data)
        return at.gradient(*self._point(at, X, theta), numbers(rf, "rf"))

    def hessian(self, X: ArrayLike, theta: Theta, rf: ArrayLike, data: Data) -> csc_array:
        """Hessian, SciPy sparse (M D + P, M D + P), symmetric."""
        at = matrices_of(self._at(data), "Hessian")
        return at.hessian(*self._point(at, X, theta), numbers(rf, "rf"))

    def hessian_product(
        self, X: ArrayLike, theta: Theta, rf: ArrayLike, data: Data, v: ArrayLike
    ) -> FloatArray:
        """Hessian times `v`, shape (M D + P,), whatever the size of the model."""
        at = self._at(data)
        point = self._point(at, X, theta)
        return at.hessian_product(*point, numbers(rf, "rf"), numbers(v, "v"))

    def residual(self, X: ArrayLike, theta: Theta, data: Data) -> FloatArray:
        """Residuals of the steps, shape (N, E)."""
        at = self._at(data)
        return at.residual(*self._point(at, X, theta))

    def _at(self, data: Data) -> Evaluator:
        problem = self._specification.bind(data)
        return self._of(problem).at(problem)

    def _point(self, at: Evaluator, X: ArrayLike, theta: Theta) -> tuple[FloatArray, FloatArray]:
        path, values = numbers(X, "X"), parameter_values(theta, at.problem.parameters)
        if path.shape[-1:] != (at.problem.D,) or values.shape != (at.problem.P,):
            return path, values  # refused by the evaluator
        return at.problem.internal(path, values)


def numbers(values: object, name: str) -> FloatArray:
    """Return an array of what the user passed.

    Raises
    ------
    InputError
        If it is not made of numbers.
    """
    try:
        if np.iscomplexobj(np.asarray(values)):
            raise TypeError
        return np.asarray(values, dtype=float)
    except (TypeError, ValueError, OverflowError):
        raise InputError(
            f"{name}: expected numbers, got {short(values)}. Pass a number or a rectangular array."
        ) from None


def parameter_values(theta: Theta, names: tuple[str, ...]) -> FloatArray:
    """Array (P,) of an array, or of a mapping that names every parameter.

    Raises
    ------
    InputError
        If a name is unknown or missing, or a value is not a number.
    """
    if not isinstance(theta, Mapping):
        return np.atleast_1d(numbers(theta, "theta"))
    given = {str(name): value for name, value in theta.items()}
    for name in given:
        if name not in names:
            raise InputError(
                f"There is no parameter {name!r}.{nearest(name, names)} The parameters are: "
                f"{', '.join(names) or 'none'}."
            )
    missing = [name for name in names if name not in given]
    if missing:
        raise InputError(
            f"No value for the parameter {missing[0]!r}; every one of {', '.join(names)} needs one."
        )
    values = [numbers(given[name], f"theta[{name!r}]") for name in names]
    for name, value in zip(names, values, strict=True):
        if value.size != 1:
            raise InputError(f"theta[{name!r}]: expected one number, got {short(given[name])}.")
    return np.array([value.item() for value in values])
