"""A model's states at given times: an ODE integrated piece by piece, or a map iterated."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from symda.errors import DataError, SolveError, SymdaError
from symda.observe import Samples
from symda.observe.forcing import ForcingSource, as_function
from symda.observe.jumps import breaks

if TYPE_CHECKING:
    from symda.derive.lattice import MachineField

FloatArray = NDArray[np.float64]
Method: TypeAlias = Literal["RK23", "RK45", "DOP853", "Radau", "BDF", "LSODA"]
_Function: TypeAlias = Callable[[float, FloatArray], FloatArray]

#: Roundings by which the two sides of a jump are told apart.
SIDE = 64.0


@dataclass(frozen=True)
class Options:
    """Method and tolerances of `solve_ivp`."""

    method: Method
    rtol: float
    atol: float


@dataclass(frozen=True, eq=False)
class System:
    """A model with everything but the state filled in.

    Attributes
    ----------
    field : Field
        F as a machine function.
    theta : (P,)
        Parameters.
    sources : tuple of U forcing sources
        In the model's order.
    """

    field: MachineField
    theta: FloatArray
    sources: tuple[ForcingSource, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the D states."""
        return tuple(s.name for s in self.field.model.states)

    @property
    def follows_a_clock(self) -> bool:
        """Whether F depends on time through an expression, which a solver may step over."""
        return self.field.model.time is not None or any(
            not isinstance(source, Samples) and source.free_symbols for source in self.sources
        )

    def breaks(self, first: float, last: float) -> FloatArray:
        """Return the times between `first` and `last` where the right-hand side is not smooth.

        Jumps and kinks of a sampled forcing, and times at which a condition in time changes, of an
        expression or of the model's own equations.
        """
        model = self.field.model
        known = dict(zip(self.field.parameters, self.theta.tolist(), strict=True))
        own = model.equations if model.time is not None else ()
        found = [
            one.breaks if isinstance(one, Samples) else breaks(one, first, last, known=known)
            for one in (*self.sources, *own)
        ]
        times = np.unique(np.concatenate([*found, []]))
        return times[(times > first) & (times < last)]


class _Buffer(Protocol):
    """CasADi's `FunctionBuffer`; its stubs ask for the size of a memoryview once more."""

    def set_arg(self, i: int, a: memoryview) -> None: ...

    def set_res(self, i: int, a: memoryview) -> None: ...


class _Watch:
    """F that gives up when time stands still: LSODA goes on for ever with steps of no length."""

    def __init__(self, F: _Function, time: float) -> None:
        self._F = F
        self.time = time
        self._calls = 0

    def __call__(self, t: float, x: FloatArray) -> FloatArray:
        if abs(t - self.time) > 1e-14 * abs(t):
            self.time, self._calls = t, 0
        self._calls += 1
        # a Jacobian by differences takes D calls at one time
        if self._calls > 1000 * (1 + x.size):
            raise ArithmeticError("the steps have shrunk to nothing")
        return self._F(t, x)


class _RightHandSide:
    """F(t, x) of a system; a call on buffers takes a microsecond, one with arrays about forty."""

    def __init__(self, system: System) -> None:
        function = system.field.field
        time = system.field.model.time
        self._channels = [as_function(source, time) for source in system.sources]
        self._x, self._u, self._t = np.empty(system.field.D), np.empty(system.field.U), np.empty(1)
        self._theta = system.theta.copy()
        self._rows = function.sparsity_out(0).row()
        self._nonzeros = np.empty(len(self._rows))
        buffer, self._evaluate = function.buffer()
        # held here with the arrays: the call above works on bare pointers
        self._buffer = cast("_Buffer", buffer)
        for i, values in enumerate((self._x, self._u, self._theta, self._t)):
            self._buffer.set_arg(i, values.data)
        self._buffer.set_res(0, self._nonzeros.data)

    def within(self, first: float, last: float) -> _Function:
        """F with the time of forcing and equations held between `first` and `last`."""

        def F(t: float, x: FloatArray) -> FloatArray:
            here = np.array([min(max(t, first), last)])
            for i, channel in enumerate(self._channels):
                self._u[i] = channel(here)[0]
            self._x[:], self._t[0] = x, here[0]
            self._evaluate()
            slope = np.zeros(x.size)
            slope[self._rows] = self._nonzeros
            return slope

        return F


def integrate(
    system: System, t: FloatArray, x0: FloatArray, options: Options, *, longest: float, where: str
) -> FloatArray:
    """States (T, D) of an ODE at the times `t`.

    The solver starts anew wherever the right-hand side jumps in time or a sampled forcing has a
    kink: its error estimate holds for smooth right-hand sides only, and one at rest steps over a
    pulse it has not seen.

    Parameters
    ----------
    system : System
        The equations.
    t : (T,)
        Increasing.
    x0 : (D,)
        State at t[0].
    options : Options
        Method and tolerances.
    longest : float
        Longest step when F follows a clock.
    where : str
        How messages name the call.

    Raises
    ------
    DataError
        If F is not finite at the start.
    SolveError
        If the solution cannot be continued.
    """
    if t.size == 1:
        return x0[None, :]
    max_step = longest if system.follows_a_clock else math.inf
    right_hand_side = _RightHandSide(system)
    values = np.empty((t.size, x0.size))
    x, done = x0, 0
    ends = [float(t[0]), *system.breaks(t[0], t[-1]).tolist(), float(t[-1])]
    stops = np.searchsorted(t, ends, side="right").tolist()
    for (a, b), stop in zip(pairwise(ends), stops[1:], strict=True):
        # what jumps at an end has the value on the inside of the piece
        aside = SIDE * np.spacing(max(abs(a), abs(b)))
        F = right_hand_side.within(*((a + aside, b - aside) if b - a > 4.0 * aside else (a, a)))
        slope = F(a, x)
        _require_finite(slope, system.names, a, where, DataError if a == t[0] else SolveError)
        when = t[done:stop]
        if b - a <= 4.0 * aside:
            # two channels sampled at one time but for rounding; solvers refuse such a piece
            x = x + (b - a) * slope
            values[done:stop] = x
        else:
            inner = when[when < b]
            at = np.append(inner, b) if inner.size else None
            found = _solve(F, (a, b), x, at, options, max_step, where)
            x = found[-1]
            values[done:stop] = found[: when.size] if inner.size else x
        done = stop
    return values


def iterate(system: System, t: FloatArray, x0: FloatArray, *, where: str) -> FloatArray:
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
    f = _RightHandSide(system).within(float(t[0]), float(t[-1]))
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


def _solve(
    F: _Function,
    span: tuple[float, float],
    x: FloatArray,
    at: FloatArray | None,
    options: Options,
    max_step: float,
    where: str,
) -> FloatArray:
    """Solution at the times `at`, or at the solver's own steps; the last one is at the end."""
    from scipy.integrate import solve_ivp

    reached, why = span[0], ""
    watch = _Watch(F, span[0])
    try:
        solution = solve_ivp(
            watch,
            span,
            x,
            method=options.method,
            t_eval=at,
            rtol=options.rtol,
            atol=options.atol,
            max_step=max_step,
        )
    except SymdaError:
        raise
    except (ArithmeticError, ValueError, np.linalg.LinAlgError) as error:
        # the watch's own, or an implicit method that factorises what is no longer finite
        reached, why = watch.time, f"{error}."
    else:
        why = str(solution.message)
        if len(solution.t):  # SciPy gives empty lists when it did not reach the first time
            values: FloatArray = np.asarray(solution.y.T)
            good = int(np.logical_and.accumulate(np.isfinite(values).all(axis=1)).sum())
            if solution.success and good == len(values):
                return values
            reached = float(solution.t[max(good - 1, 0)])
            if good < len(values):
                why = "it left finite numbers."
    stiff = "" if options.method == "LSODA" else ", or try method='LSODA' for a stiff model"
    raise SolveError(
        f"{where}: the solution could not be continued beyond t = {reached:.6g}: {why} "
        f"Look at parameters and initial state{stiff}."
    )


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
