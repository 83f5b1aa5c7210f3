"""A model's states at given times: an ODE integrated piece by piece, or a map iterated."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np

from symda.api.flow_run import IntegrationWarning
from symda.api.stepping import Function, Jacobian, OdeMethod, OverBudgetError, Stepper
from symda.errors import DataError, SolveError
from symda.observe import Pulses, Samples
from symda.observe.forcing import ForcingSource, as_function
from symda.observe.jumps import breaks, clocked
from symda.observe.pulses import INSTANT, PulseSteps, pulse_steps
from symda.types import FloatArray

if TYPE_CHECKING:
    from scipy.sparse import csc_array

    from symda.derive.lattice import MachineField


#: States up to which a Jacobian is a dense matrix.
DENSE = 60

#: Roundings by which the two sides of a jump are told apart.
SIDE = 64.0


#: The tolerance where a state is zero, as a share of the relative one of the state's largest size
#: along the solution. Implicit methods need all of it: Newton's method ends in rounding.
SHARE = {"RK23": 1e-3, "RK45": 1e-3, "DOP853": 1e-3}
#: Times a solution is computed again because states were smaller than was thought.
PASSES = 4


@dataclass(frozen=True)
class OdeOptions:
    """Method and tolerances."""

    method: OdeMethod | None  #: None: DOP853, and Radau from where the model turns out stiff.
    rtol: float  #: Relative tolerance.
    atol: float | None  #: Absolute tolerance; None: by the size of each state.


@dataclass(frozen=True, eq=False)
class Rates:
    """A model with everything but the state filled in."""

    field: MachineField  #: F as a machine function.
    theta: FloatArray  #: Parameters, (P,).
    sources: tuple[ForcingSource, ...]  #: In the model's order.

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the D states."""
        return tuple(s.name for s in self.field.model.states)

    @property
    def follows_a_clock(self) -> bool:
        """Whether F depends on time through an expression, which a solver may step over."""
        return self.field.model.time is not None or any(
            not isinstance(source, Samples | Pulses) and source.free_symbols
            for source in self.sources
        )

    def breaks(self, first: float, last: float) -> FloatArray:
        """Return the times between `first` and `last` where the right-hand side is not smooth.

        Jumps and kinks of a sampled forcing, and times at which a condition in time changes, of an
        expression or of the model's own equations.
        """
        known = dict(zip(self.field.parameters, self.theta.tolist(), strict=True))
        own = (equation for _, equation in clocked(self.field.model))
        found = [
            one.breaks if isinstance(one, Samples) else breaks(one, first, last, known=known)
            for one in (*self.sources, *own)
            if not isinstance(one, Pulses)
        ]
        times = np.unique(np.concatenate([*found, []]))
        return times[(times > first) & (times < last)]

    @property
    def pulses(self) -> PulseSteps:
        """The pulses among the sources."""
        return pulse_steps(dict(zip(self.field.model.forcing, self.sources, strict=True)))

    def jump(self, t: float, x: FloatArray, amounts: FloatArray) -> FloatArray:
        """Return the state (D,) after pulses of amounts (U,)."""
        time = self.field.model.time
        here = np.array([t])
        u = np.array([as_function(source, time)(here)[0] for source in self.sources])
        u = np.where(amounts == 0.0, u, amounts / INSTANT)
        slope = np.asarray(self.field.field(x, u, self.theta, t).full()).reshape(-1)
        return x + INSTANT * slope


class _Buffer(Protocol):
    """CasADi's `FunctionBuffer`; its stubs ask for the size of a memoryview once more."""

    def set_arg(self, i: int, a: memoryview) -> None: ...

    def set_res(self, i: int, a: memoryview) -> None: ...


class _RightHandSide:
    """F(t, x); a call on buffers takes a microsecond, one with arrays about forty."""

    def __init__(self, rates: Rates) -> None:
        from symda.derive.field import Field

        self._jacobian = rates.field.field_jacobian if isinstance(rates.field, Field) else None
        function = rates.field.field
        time = rates.field.model.time
        self._channels = [as_function(source, time) for source in rates.sources]
        self._x, self._u, self._t = np.empty(rates.field.D), np.empty(rates.field.U), np.empty(1)
        self._theta = rates.theta.copy()
        self._rows = function.sparsity_out(0).row()
        self._nonzeros = np.empty(len(self._rows))
        buffer, self._evaluate = function.buffer()
        # held here with the arrays: the call above works on bare pointers
        self._buffer = cast("_Buffer", buffer)
        for i, values in enumerate((self._x, self._u, self._theta, self._t)):
            self._buffer.set_arg(i, values.data)
        self._buffer.set_res(0, self._nonzeros.data)

    def within(self, first: float, last: float) -> tuple[Function, Jacobian | None]:
        """F and dF/dx with the time of forcing and equations held between `first` and `last`."""

        def enter(t: float, x: FloatArray) -> None:
            here = np.array([min(max(t, first), last)])
            for i, channel in enumerate(self._channels):
                self._u[i] = channel(here)[0]
            self._x[:], self._t[0] = x, here[0]

        def F(t: float, x: FloatArray) -> FloatArray:
            enter(t, x)
            self._evaluate()
            slope = np.zeros(x.size)
            slope[self._rows] = self._nonzeros
            return slope

        differentiate = self._jacobian
        if differentiate is None:
            return F, None

        def jacobian(t: float, x: FloatArray) -> FloatArray | csc_array:
            from scipy.sparse import csc_array

            enter(t, x)
            _, J = differentiate(self._x, self._u, self._theta, self._t)
            sparse = csc_array(J.sparse())[:, : x.size]
            return sparse if x.size > DENSE else sparse.toarray()

        return F, jacobian


def integrate(
    rates: Rates, t: FloatArray, x0: FloatArray, options: OdeOptions, *, longest: float, where: str
) -> FloatArray:
    """States (T, D) of an ODE at the times `t`.

    The solver starts again wherever the right-hand side jumps in time or a sampled forcing has a
    kink: its error estimate holds for smooth right-hand sides only, and one at rest steps over a
    pulse it has not seen.

    Parameters
    ----------
    rates : Rates
        The equations.
    t : (T,)
        Increasing.
    x0 : (D,)
        State at t[0].
    options : OdeOptions
        Method and tolerances. Without an absolute one that of each state follows its largest size
        along the solution; where that was taken too large the solution is computed again.
    longest : float
        Longest step when F follows a clock.
    where : str
        How messages name the call.

    Raises
    ------
    DataError
        If F is not finite at the start.
    SolveError
        If the solution cannot be continued, or a method that was asked for would take far too long.

    Warns
    -----
    IntegrationWarning
        If the model was handed to an implicit method.
    """
    rates.pulses.check_within(
        float(t[0]), float(t[-1]), "Let the times begin or end there, or leave it out."
    )
    if t.size == 1:
        return x0[None, :]
    max_step = longest if rates.follows_a_clock else math.inf
    course = _Course(rates, t, x0, where)
    method = options.method or "DOP853"
    share = SHARE.get(method, 1.0) if options.atol is None else 1.0
    sizes = course.sizes() if options.atol is None else np.ones(x0.size)
    guessed = (x0 == 0.0) & (options.atol is None)
    best, switched, blurred, budget = x0[None, :], None, False, math.inf
    for _ in range(PASSES):
        largest = np.full(x0.size, options.atol) if options.atol else options.rtol * sizes
        stepper = Stepper(
            method=method,
            rtol=options.rtol,
            atol=share * largest,
            implicit_atol=largest,
            may_switch=options.method is None,
            budget=budget,
            max_step=max_step,
            end=float(t[-1]),
            where=where,
            peak=np.abs(x0),
            looked=float(t[0]),
        )
        try:
            found = course.run(stepper)
        except (SolveError, OverBudgetError):
            # states that are nothing but rounding cannot be followed by their own size
            if blurred:
                break
            # steps so long that they leave the solution come from a guess that is too large
            if not guessed.any():
                raise
            sizes, guessed = np.where(guessed, 1e-8, 1.0) * sizes, np.zeros_like(guessed)
            continue
        best, switched = found, stepper.switched
        # the tolerance that was used is more than the relative one of the state's size
        most = share if switched is None and share < 1.0 else 0.5
        coarse = (stepper.peak > 0.0) & (stepper.peak < most * sizes)
        if options.atol is not None or not coarse.any():
            break
        blurred = bool((stepper.peak[coarse] < 1e3 * stepper.atol[coarse]).all())
        budget = 30.0 * stepper.calls + 50_000.0 if blurred else math.inf
        sizes, guessed = np.where(coarse, stepper.peak, sizes), np.zeros_like(guessed)
    if switched is not None:
        warnings.warn(
            f"{where}: the model is stiff: from t = {switched:.6g} on DOP853 would have needed too "
            "many steps, and Radau went on. Pass method='Radau' or 'LSODA' to begin with it.",
            IntegrationWarning,
            stacklevel=4,
        )
    return best


class _Course:
    """The pieces of a solution, between the times at which the right-hand side is not smooth."""

    def __init__(self, rates: Rates, t: FloatArray, x0: FloatArray, where: str) -> None:
        self._rates, self._t, self._x0, self._where = rates, t, x0, where
        self._right_hand_side = _RightHandSide(rates)
        self._pulses = rates.pulses.snapped(t)
        inner = np.union1d(rates.breaks(t[0], t[-1]), self._pulses.times)
        inner = inner[(inner > t[0]) & (inner < t[-1])]
        self._ends = [float(t[0]), *inner.tolist(), float(t[-1])]

    def sizes(self) -> FloatArray:
        """First guess of the states' sizes, (D,): too large rather than 0."""
        sizes: FloatArray = np.abs(self._x0)
        F, _ = self._within(self._ends[0], self._ends[1])
        slopes = np.abs(F(self._ends[0], self._x0)) * float(np.diff(self._t).min())
        sizes = np.where((sizes > 0.0) | ~np.isfinite(slopes), sizes, slopes)
        return np.where(sizes > 0.0, sizes, sizes.max() or 1.0)

    def run(self, stepper: Stepper) -> FloatArray:
        """States (T, D) at the times."""
        t, names = self._t, self._rates.names
        values = np.empty((t.size, self._x0.size))
        x, done = self._x0, 0
        if self._pulses.any:
            # a pulse may be there, which the piece behind it does not see
            values[0], done = x, 1
        stops = np.searchsorted(t, self._ends, side="right").tolist()
        for (a, b), stop in zip(pairwise(self._ends), stops[1:], strict=True):
            x = self._jumped(a, x, values)
            F, jacobian = self._within(a, b)
            slope = F(a, x)
            error = DataError if a == t[0] else SolveError
            _require_finite(slope, names, a, self._where, error)
            when = t[done:stop]
            if b - a <= 4.0 * _aside(a, b):
                # two channels sampled at one time up to rounding; solvers refuse such a piece
                x = x + (b - a) * slope
                values[done:stop] = x
            else:
                values[done:stop], x = stepper.piece(F, jacobian, (a, b), x, when)
            done = stop
        self._jumped(float(t[-1]), x, values)
        return values

    def _jumped(self, t: float, x: FloatArray, values: FloatArray) -> FloatArray:
        """Take a state over the pulses at a time, and note its value there, on the side asked."""
        for k in np.flatnonzero(self._pulses.times == t):
            after = self._rates.jump(t, x, self._pulses.amounts[k])
            values[self._t == t] = after if self._pulses.after[k] else x
            x = after
        return x

    def _within(self, a: float, b: float) -> tuple[Function, Jacobian | None]:
        """F and its Jacobian in a piece: what jumps at an end has the value on the inside."""
        aside = _aside(a, b)
        first, last = (a + aside, b - aside) if b - a > 4.0 * aside else (a, a)
        return self._right_hand_side.within(first, last)


def _aside(a: float, b: float) -> float:
    return float(SIDE * np.spacing(max(abs(a), abs(b))))


def iterate(rates: Rates, t: FloatArray, x0: FloatArray, *, where: str) -> FloatArray:
    """States (T, D) of a map at the times `t`, whole numbers apart.

    Raises
    ------
    DataError
        If the times are not whole numbers apart.
    SolveError
        If the map leaves finite numbers.
    """
    if np.any(np.diff(t) != np.round(np.diff(t))):
        raise DataError(f"{where}: the times of a map must lie whole numbers apart.")
    f, _ = _RightHandSide(rates).within(float(t[0]), float(t[-1]))
    values, x, now = [x0], x0, t[0]
    for target in t[1:]:
        while now < target:
            x = f(now, x)
            now += 1.0
        if not np.all(np.isfinite(x)):
            raise SolveError(
                f"{where}: the map left finite numbers before step {target:.6g}; look at "
                "parameters and initial state."
            )
        values.append(x)
    return np.array(values)


def _require_finite(
    slope: FloatArray,
    names: tuple[str, ...],
    t: float,
    where: str,
    error: type[DataError] | type[SolveError],
) -> None:
    bad = np.flatnonzero(~np.isfinite(slope))
    if bad.size:
        raise error(
            f"{where}: the right-hand side of {names[bad[0]]!r} is {slope[bad[0]]} at time "
            f"{t:.6g}, expected a finite number. Look at parameters, initial state and forcing."
        )
