"""The protocol of solvers around the methods for the boundary value problem."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from symda.build.kernels import blocks_of
from symda.errors import OptionError, nearest
from symda.solve.boundary.collocation import Collocation, beyond_bounds
from symda.solve.boundary.continuous import ContinuousData
from symda.solve.boundary.functions import FieldFunctions, check_independent, check_rate
from symda.solve.boundary.mesh import Inputs
from symda.solve.boundary.sweeps import Sweeps
from symda.solve.boundary.units import BoundaryMethod, InUnits, Units
from symda.solve.minimum import Minimum, record
from symda.solve.solver import Capability, Solver
from symda.status import Status
from symda.types import FloatArray

if TYPE_CHECKING:
    from symda.build.abstract import Evaluator, Kernels
    from symda.observe import Problem


#: Name -> what makes a method of (system, problem, **options).
METHODS: Mapping[str, Callable[..., BoundaryMethod]] = MappingProxyType(
    {"collocation": Collocation, "bvp": ContinuousData, "sweeps": Sweeps}
)


def make_method(
    name: str,
    system: FieldFunctions,
    problem: Problem,
    options: Mapping[str, object],
    inputs: Inputs | None = None,
) -> BoundaryMethod:
    """Make a method by name, with options by name.

    Raises
    ------
    OptionError
        If an option is unknown or out of range, or there is noise or a prior that the continuous
        problem does not know.
    """
    if system.has_prior or not problem.squares:
        what = "several data of one time, or other noise"
        if system.has_prior or problem.correlated:
            what = "a prior" if system.has_prior else "noise that is correlated across channels"
        raise OptionError(
            f"{name}: the continuous problem takes Gaussian noise of the data's variance, once a "
            f"channel and time, and no priors; here there is {what}. Use solver='newton'."
        )
    if not isinstance(options, Mapping):
        raise OptionError(
            f"{name}: options must be a mapping, name: value, got {type(options).__name__}."
        )
    method = METHODS[name]
    takes = inspect.signature(method).parameters
    known = [n for n, p in takes.items() if p.kind is p.KEYWORD_ONLY and n != "inputs"]
    further = any(p.kind is p.VAR_KEYWORD for p in takes.values())
    for option in options:
        named = isinstance(option, str) and option != "inputs"
        if not named or (option not in known and not further):
            raise OptionError(
                f"{name} has no option {option!r}.{nearest(str(option), known)} "
                f"It takes {', '.join(known)}."
            )

    def make(system: FieldFunctions, problem: Problem, inputs: Inputs | None) -> BoundaryMethod:
        return method(system, problem, inputs=inputs, **options)

    units = Units.of(problem)
    if units.plain:
        return make(system, problem, inputs)
    return InUnits(make, system, problem, inputs, units)


@dataclass(frozen=True)
class Boundary(Solver):
    """The boundary value problem behind an action, solved by one of the methods."""

    capability: ClassVar[Capability] = Capability(needs=frozenset({"field"}), continuous=True)

    #: In `METHODS`.
    name: str  # type: ignore[misc]
    #: Options of the method by their names.
    settings: Mapping[str, object] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """What the method is."""
        return (METHODS[self.name].__doc__ or "").partition("\n")[0]

    @property
    def options(self) -> Mapping[str, object]:
        """Options of the method."""
        return self.settings

    def with_options(self, **options: object) -> Boundary:
        """Return it with further options."""
        return Boundary(self.name, {**self.settings, **options})

    def at(self, kernels: Kernels, problem: Problem) -> BoundarySolver:
        """Return what solves the boundary value problem of one problem.

        Raises
        ------
        OptionError
            If the action has no continuous problem, or an option is unknown or out of range.
        """
        check_rate(problem.model_error, problem.averaging, self.name)
        check_independent(problem, self.name)
        field = blocks_of(kernels, f"Jacobian of F, which {self.name} needs").field
        if field is None:
            raise OptionError(
                f"{self.name}: these kernels know the steps of a scheme only, not F. Take those "
                "of an action: action.compile().machine."
            )
        if problem.pulses.any():
            raise OptionError(
                f"{self.name}: the data have pulses, and x(t) does not jump here. Take "
                "solver='newton', or samples of a short forcing."
            )
        if problem.paid.size:
            raise OptionError(
                f"{self.name}: the model has {problem.payer}, "
                "whose cost the continuous problem here does not have. Take solver='newton'."
            )
        if problem.tied.any():
            name = problem.states[int(problem.tied[0].argmax())]
            raise OptionError(
                f"{self.name}: the initial value of {name} is a function of parameters; here it is "
                "a number or estimated. Take solver='newton', or give numbers with the data, "
                "Observations(..., initial=...)."
            )
        method = make_method(self.name, FieldFunctions(field), problem, self.settings)
        return BoundarySolver(kernels.at(problem), method)


class BoundarySolver:
    """A method for the boundary value problem behind the protocol of solvers."""

    def __init__(self, evaluator: Evaluator, method: BoundaryMethod) -> None:
        self._evaluator, self._method = evaluator, method

    def minimise(self, path: FloatArray, theta: FloatArray, rf: FloatArray) -> Minimum:
        """Solve the boundary value problem from (path, theta); see `Minimiser.minimise`.

        Returns
        -------
        Minimum
            ``path`` is x(t) on the model grid, and ``action`` with its two terms the discrete
            action of the problem's scheme at that path, not the continuous one: the numbers
            compare with those of the direct solvers, whose minimum lies lower by what the scheme
            errs. ``momenta`` is p(t) in the middle of each step; rows of ties between interior
            points are 0. A solution beyond the bounds, which only methods without bounds of
            their own find, is brought inside and ``stopped``.
        """
        evaluator, problem = self._evaluator, self._evaluator.problem
        known = problem.initial[0] if problem.given.any() else None
        found = self._method.solve(problem.times, path, theta, evaluator.precision(rf), known)
        inside = problem.unknowns.inside(found.x(problem.times), found.theta)
        middle = problem.node_times[:-1] + 0.5 * problem.h
        momenta = np.zeros((problem.N, problem.E))
        momenta[:, : problem.D] = found.p(middle)
        outcome = found.outcome
        return record(
            evaluator,
            inside,
            rf,
            momenta=momenta,
            status=Status.STOPPED if beyond_bounds(found, problem) else outcome.status,
            message=outcome.message,
            iterations=outcome.iterations,
            evaluations=outcome.evaluations,
            seconds=outcome.seconds,
        )
