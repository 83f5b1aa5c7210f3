"""What a solver is: a choice by name or object, with options, that says what it needs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from symda.build.parts import PARTS
from symda.checks import choice
from symda.errors import OptionError, nearest
from symda.registry import changed_options, options_of
from symda.solve.judges import judge
from symda.solve.minimum import Minimum
from symda.solve.objective import Objective
from symda.solve.stationary import Judge
from symda.types import FloatArray

if TYPE_CHECKING:
    from symda.build.abstract import Evaluator, Kernels
    from symda.observe import Problem
    from symda.solve.minimum import Minimiser


@dataclass(frozen=True)
class Capability:
    """What a solver needs, and what it can do.

    Attributes
    ----------
    needs : frozenset of str
        Of what kernels provide, see `symda.build.parts.PARTS`; the others are not built or sent
        to workers for it.
    wants : frozenset of str
        What it makes use of where it is there, and does without elsewhere.
    continuous : bool
        Whether its minima are those of the problem in continuous time, not of the discrete action.
    limit_in_windows : (str, int), optional
        Its limit of iterations, by the name of the option, while a window grows. A path that needs
        more is lost in a far basin.
    """

    needs: frozenset[str] = frozenset({"gradient"})
    wants: frozenset[str] = frozenset()
    continuous: bool = False
    limit_in_windows: tuple[str, int] | None = None

    def __post_init__(self) -> None:
        for part in (*self.needs, *self.wants):
            choice(part, "Capability: needs and wants", PARTS)


class Solver(ABC):
    """A way to minimise, with its options: the fields of its dataclass.

    Plain data, which is sent to worker processes. To write one of your own, see `Descent`.

    Attributes
    ----------
    name : str
        What users call it.
    capability : Capability
        What it needs.
    """

    name: ClassVar[str]
    capability: ClassVar[Capability] = Capability()

    @abstractmethod
    def at(self, kernels: Kernels, problem: Problem) -> Minimiser:
        """Return what minimises the action of one problem.

        Raises
        ------
        OptionError
            If an option is refused, or does not go with the problem.
        """

    @property
    def options(self) -> Mapping[str, object]:
        """The options that are not the usual ones, as `with_options` takes them."""
        return changed_options(self)

    def with_options(self, **options: Any) -> Self:
        """Return the same solver with other options.

        Raises
        ------
        OptionError
            If an option is unknown or out of range.
        """
        known = list(options_of(self))
        for name in options:
            if name not in known:
                takes = f"It takes {', '.join(known)}." if known else "It takes none."
                raise OptionError(
                    f"{self.name} has no option {name!r}.{nearest(name, known)} {takes}"
                )
        return replace(self, **options) if options else self  # type: ignore[type-var]

    def with_window_limit(self) -> Self:
        """Return it with the fewer iterations a path has while a window grows."""
        if self.capability.limit_in_windows is None:
            return self
        name, limit = self.capability.limit_in_windows
        given = self.options.get(name, limit)
        return self.with_options(**{name: min(given, limit) if isinstance(given, int) else limit})


class Descent(Solver):
    """A solver that minimises from a point and knows the objective only: a base for your own.

    A subclass has a `name` and `descend`; the fields of a dataclass are its options. It can be
    handed to `symda.anneal` as it is. `capability.needs` says what `descend` asks the objective
    for beside the gradient, so that a model without it is refused before any path starts.

    Examples
    --------
    >>> import scipy.optimize
    >>> class Tnc(Descent):
    ...     name = "tnc"
    ...     def descend(self, objective, x):
    ...         found = scipy.optimize.minimize(
    ...             objective.value_and_gradient, x, jac=True, method="TNC",
    ...             bounds=objective.bounds,
    ...         )
    ...         return objective.minimum(found)
    """

    @abstractmethod
    def descend(self, objective: Objective, x: FloatArray) -> Minimum:
        """Minimise from x, the free unknowns within their bounds.

        Parameters
        ----------
        objective : Objective
            The action as a function of them.
        x : ndarray, shape (n,)
        """

    def at(self, kernels: Kernels, problem: Problem) -> Minimiser:
        """Return what minimises the action of one problem; see `Solver.at`."""
        return _Minimiser(self, kernels.at(problem))


class _Minimiser:
    """A descent on the objective of one problem."""

    def __init__(self, solver: Descent, evaluator: Evaluator) -> None:
        self._solver, self._evaluator = solver, evaluator

    def minimise(self, path: FloatArray, theta: FloatArray, rf: FloatArray) -> Minimum:
        """Minimise from (path, theta); see `Minimiser.minimise`."""
        objective = Objective(self._evaluator, rf, lambda: self._judge)
        with np.errstate(over="ignore", invalid="ignore"):
            found = self._solver.descend(objective, objective.start(path, theta))
        if not isinstance(found, Minimum):
            raise OptionError(
                f"the solver {self._solver.name!r}: descend returned a {type(found).__name__}; "
                "expected a Minimum, which objective.minimum(result) makes of a SciPy result."
            )
        return found

    @cached_property
    def _judge(self) -> Judge | None:
        return judge(self._evaluator)
