"""The unknowns a model is written in, states and parameters, and what declares them.

They are SymPy symbols that carry what they were declared with and count it in equality. So two
symbols that print alike but were declared differently are two symbols, and a model can refuse them.
What holds in a model is the model's own table, `Model.declarations`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal, NoReturn, Self

import sympy as sp

from symda.checks import choice, integer, number
from symda.declare.declaration import UNBOUNDED, Declaration, Range
from symda.declare.declared import Declared, Forcing, MeasuredForcing, Time
from symda.declare.delays import called
from symda.declare.distributions import Distribution
from symda.errors import ModelError
from symda.scale import ScaleName


class Unknown(Declared):
    """An unknown with what it was declared with; base of `State` and `Parameter`."""

    __slots__ = ("declaration",)
    #: Which fields of a `Declaration` it may have.
    declares: ClassVar[tuple[str, ...]]
    declaration: Declaration

    @classmethod
    def _declare(cls, what: str, name: str, declaration: Declaration) -> Self:
        checked = declaration.checked(f"{what} {name!r}")
        symbol = cls._create(name)
        symbol.declaration = checked
        return symbol

    @property
    def words(self) -> str:
        """Kind and declaration, as messages say them."""
        given = {field: getattr(self.declaration, field) for field in self.declares}
        said = ", ".join(f"{field}={value}" for field, value in given.items() if value is not None)
        return f"{self.kind_name}({said})"

    def _hashable_content(self) -> tuple[object, ...]:
        # SymPy orders symbols by this content, so it must compare: tuples of floats, none is ().
        content: tuple[object, ...] = super()._hashable_content()
        given = (getattr(self.declaration, field) for field in self.declares)
        return content + tuple(
            ()
            if value is None
            else value
            if isinstance(value, tuple)
            else (_content(value) if isinstance(value, Distribution) else value,)
            for value in given
        )

    def __getnewargs_ex__(self) -> tuple[tuple[object, ...], dict[str, object]]:
        return (self.name,), {field: getattr(self.declaration, field) for field in self.declares}


def _content(prior: Distribution) -> str:
    """Say all of a prior, what is declared of its arguments included, as names do not."""
    cost = prior.cost(sp.Symbol("y"), sp.Symbol("rm", positive=True))
    own = {s for term in prior.terms.values() for s in term.free_symbols} | cost.free_symbols
    return "; ".join([str(prior), str(cost), *sorted(str(s._hashable_content()) for s in own)])


class State(Unknown):
    """A component of the state x, with the range it may take and the range starts are drawn from.

    Parameters
    ----------
    name : str
        The name it prints as.
    bounds : (float, float), optional
        Lowest and highest value a solver may give it; infinite where there is no limit.
    start : (float, float), optional
        Range of its start values; by default the bounds, else the range of the data widened by
        half.
    prior : Distribution, optional
        What is known of its first value beforehand, such as ``symda.Normal(0.0, 1.0)``.
    scale : {"log", "logit"}, optional
        Keep it positive, or between its bounds: solvers move z, its logarithm or logit, whose
        equation is dz/dt = (dz/dx) F, of a map z' = z(f(x)). The scheme steps z, and the model
        error is one of z: of a logarithm, a share of x.

    Raises
    ------
    ModelError
        If the name is empty, a range is not a pair of numbers in ascending order, `start` leaves
        the bounds, the prior excludes them, or the scale is unknown or has no place for them.
    """

    __slots__ = ()
    kind_name = "State"
    declares: ClassVar[tuple[str, ...]] = ("bounds", "start", "prior", "scale")

    def __new__(
        cls,
        name: str,
        *,
        bounds: Range = UNBOUNDED,
        start: Range | None = None,
        prior: Distribution | None = None,
        scale: ScaleName | None = None,
    ) -> Self:
        """Check the declaration and make the symbol."""
        given = Declaration(bounds, start, scale=scale, prior=prior)
        return cls._declare("State", name, given)

    def __call__(self, *arguments: object) -> NoReturn:
        """Refuse x(t), which is x, and x(t - tau)."""
        raise ModelError(called(self.name, arguments))


class Parameter(Unknown):
    """A constant of the model, estimated unless its value is given.

    Parameters
    ----------
    name : str
        The name it prints as.
    bounds : (float, float), optional
        Lowest and highest value a solver may give it; infinite where there is no limit.
    start : (float, float), optional
        Range of its start values; by default the bounds.
    value : float, optional
        Its known value: the parameter is then held there.
    typical : float, optional
        Its typical size, larger than zero, which solvers scale it by.
    prior : Distribution, optional
        What is known of it beforehand, such as ``symda.LogNormal(0.0, 1.0)``; its arguments may be
        other parameters.
    scale : {"log", "logit"}, optional
        What solvers move: its logarithm, so that it is positive and may go over decades, or its
        logit, log((k - low)/(high - k)), so that it stays between its bounds.

    Raises
    ------
    ModelError
        If the name is empty, a range is not a pair of numbers in ascending order, `start` or
        `value` leaves the bounds, `typical` is not larger than zero, the prior excludes the
        bounds, or the scale is unknown or has no place for one of these.
    """

    __slots__ = ()
    kind_name = "Parameter"
    declares = ("bounds", "start", "value", "typical", "prior", "scale")

    def __new__(
        cls,
        name: str,
        *,
        bounds: Range = UNBOUNDED,
        start: Range | None = None,
        value: float | None = None,
        typical: float | None = None,
        prior: Distribution | None = None,
        scale: ScaleName | None = None,
    ) -> Self:
        """Check the declaration and make the symbol."""
        given = Declaration(bounds, start, value, typical, scale=scale, prior=prior)
        return cls._declare("Parameter", name, given)


class ExperimentParameter(Parameter):
    """A constant with a value of its own in each experiment; otherwise as `Parameter`."""

    __slots__ = ()
    kind_name = "Parameter per experiment"


class StepParameter(State):
    """A parameter with a value of its own at every grid point: a layer's weight, a drifting rate.

    It is an unknown path w that a model carries among its states, with the rate w' = 0 (w_{n+1} =
    w_n for a map), so everything that holds for states holds for it: bounds, starts, gaps,
    measurements, solvers. Only its precision is its own, the same on every rung of a ladder.
    Explicit schemes and maps use w_n in step n; the others its values at the grid points of the
    step.

    Parameters
    ----------
    name : str
        The name it prints as.
    bounds, start : (float, float), optional
        As for `Parameter`.
    process_variance : float, optional
        Variance of its change w_{n+1} - w_n over one step (over a unit of time with
        ``model_error="rate"``): a random walk. Without it the values are free; a precision of 1e-8
        over the square of its start range's larger end ties each to the next, so that one
        without any effect has a value as well.
    prior : Distribution, optional
        What is known of each value beforehand, such as ``symda.Normal(0.0, 1.0)``: they are
        independent of each other, and each that an equation uses pays its own -log p. With a
        process variance it is the prior of the first value, from which the walk goes on.
    scale : {"log", "logit"}, optional
        As for `Parameter`; the process variance is then one of the logarithm or logit.

    Raises
    ------
    ModelError
        As `Parameter`, or if `process_variance` is not larger than zero.
    """

    __slots__ = ()
    kind_name = "Parameter per step"
    declares: ClassVar[tuple[str, ...]] = ("bounds", "start", "process_variance", "prior", "scale")

    def __new__(
        cls,
        name: str,
        *,
        bounds: Range = UNBOUNDED,
        start: Range | None = None,
        process_variance: float | None = None,
        prior: Distribution | None = None,
        scale: ScaleName | None = None,
    ) -> Self:
        """Check the declaration and make the symbol."""
        given = Declaration(
            bounds, start, process_variance=process_variance, prior=prior, scale=scale
        )
        return cls._declare("Parameter", name, given)


class Control(StepParameter):
    """An unknown input u(t) whose square is paid: a parameter per step with a cost.

    The action has the term 1/2 cost int u^2 dt besides, of a map 1/2 cost sum u_n^2. The integral
    is taken by the weights of the scheme: with an explicit one u is constant over each step.

    Parameters
    ----------
    name : str
        The name it prints as.
    cost : float
        What the square costs, larger than zero: one over the variance of a white noise u.
    bounds : (float, float), optional
        As for `Parameter`.
    start : (float, float), optional
        As for `Parameter`; at 0 when left out.

    Raises
    ------
    ModelError
        As `Parameter`, or if `cost` is not larger than zero.
    """

    __slots__ = ()
    kind_name = "Control"
    declares: ClassVar[tuple[str, ...]] = ("bounds", "start", "cost")

    def __new__(
        cls,
        name: str,
        *,
        cost: float,
        bounds: Range = UNBOUNDED,
        start: Range | None = None,
    ) -> Self:
        """Check the declaration and make the symbol."""
        if cost is None:
            raise ModelError(f"Control {name!r}: cost must be a number larger than zero, got None.")
        declaration = Declaration(bounds, (0.0, 0.0) if start is None else start, cost=cost)
        return cls._declare("Control", name, declaration)


def control(
    name: str, cost: float, *, bounds: Range = UNBOUNDED, start: Range | None = None
) -> Control:
    """Declare one unknown input whose square is paid; see `Control` for the arguments.

    Raises
    ------
    ModelError
        As `Control`, or if `name` holds several names.
    """
    return Control(single(name, "control"), cost=cost, bounds=bounds, start=start)


def state(
    name: str,
    *,
    bounds: Range = UNBOUNDED,
    start: Range | None = None,
    prior: Distribution | None = None,
    scale: ScaleName | None = None,
) -> State:
    """Declare one state; see `State` for the arguments.

    Raises
    ------
    ModelError
        As `State`, or if `name` holds several names.
    """
    return State(single(name, "state"), bounds=bounds, start=start, prior=prior, scale=scale)


def forcing(name: str) -> Forcing:
    """Declare one forcing channel; see `Forcing`.

    Raises
    ------
    ModelError
        If the name is empty or holds several names.
    """
    return Forcing(single(name, "forcing"))


def measured(
    quantity: State | str,
    *,
    rule: Literal["linear", "hold", "cubic"] = "linear",
    longest: float | None = None,
) -> MeasuredForcing:
    """Declare the data of a channel as a forcing, to stand in equations.

    Its samples are the channel's own data, which come with the observations: nothing is passed for
    it. They are never extrapolated: the model's time must lie between the first and the last datum.

    Parameters
    ----------
    quantity : State or str
        A state that is measured as it is, or the name of a channel.
    rule : {"linear", "hold", "cubic"}
        Between two data, as of `Samples`.
    longest : float, optional
        The longest time between two data that is bridged; more is an error. Without it gaps (nan)
        are bridged with a warning.

    Returns
    -------
    MeasuredForcing
        Called x_data for the state or channel x.

    Raises
    ------
    ModelError
        If it is neither a state nor a name, or `longest` is not larger than zero.
    """
    if not isinstance(quantity, State | str) or isinstance(quantity, StepParameter):
        raise ModelError(
            f"measured: expected a state, or the name of a channel, got {quantity!r}. What is "
            "measured as an expression has a name: measured('h0'), or that of a mapping."
        )
    name = quantity if isinstance(quantity, str) else quantity.name
    choice(rule, "measured: rule", ("linear", "hold", "cubic"), error=ModelError)
    most = math.inf
    if longest is not None:
        fix = "it is a length of time"
        most = number(longest, "measured: longest", fix, kind="positive", error=ModelError)
    return MeasuredForcing(f"{name}_data", channel=name, rule=rule, longest=most)


def time(name: str = "t") -> Time:
    """Declare the independent variable; see `Time`.

    Raises
    ------
    ModelError
        If the name is empty or holds several names.
    """
    return Time(single(name, "time"))


def _split(names: str) -> list[str]:
    return names.replace(",", " ").split()


def single(name: str, function: str) -> str:
    """Return the name given to `function`, which takes one.

    Raises
    ------
    ModelError
        If there are several.
    """
    if isinstance(name, str) and len(_split(name)) > 1:
        plural = {"state": "states", "parameter": "parameters"}.get(function)
        fix = f"use {plural}({name!r})" if plural else f"call {function}() once for each"
        raise ModelError(f"{function}({name!r}): expected one name, got several; {fix}.")
    return name


def several(names: str | Sequence[str], size: int | None, function: str) -> list[str]:
    """Return the names given to `function`, or numbered ones.

    Raises
    ------
    ModelError
        If one is missing or repeated, or the size is not at least 1.
    """
    if not isinstance(names, str | Sequence):
        raise ModelError(
            f"{function}(): expected names as text or a sequence of texts, got {names!r}."
        )
    every = _split(names) if isinstance(names, str) else list(names)
    if not every:
        raise ModelError(f"{function}(): no name given; write for example {function}('a b c').")
    repeated = sorted({str(name) for name in every if every.count(name) > 1})
    if repeated:
        raise ModelError(
            f"{function}(): {', '.join(map(repr, repeated))} given more than once; "
            "each symbol needs a name of its own."
        )
    if size is None:
        return every
    size = integer(size, f"{function}({names!r}, {size!r}): the size", error=ModelError)
    if len(every) > 1:
        raise ModelError(
            f"{function}({names!r}, {size}): a size goes with one name, got {len(every)} names; "
            "leave the size out or call once for each name."
        )
    return [f"{every[0]}{number}" for number in range(size)]
