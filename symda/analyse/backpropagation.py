"""Back-propagation as momentum: the limit Rf -> infinity of the discrete Euler-Lagrange equations.

Where the action is least, dA/dx_{n+1} = 0 ties the momenta p_n = Rf r_n of neighbouring steps:

    (dr_n/dx_{n+1})^T p_n + (dr_{n+1}/dx_{n+1})^T p_{n+1} + (dh/dx)^T Rm (h(x_{n+1}) - y_{n+1}) = 0.

As Rf grows the residuals vanish like p/Rf: the path obeys the model, x_{n+1} = f_n(x_n, w_n), and
the momenta keep finite values that follow from p_N = 0 backward,

    p_{n-1} = (df_n/dx_n)^T p_n - (dh/dx)^T Rm (h(x_n) - y_n).

That is back-propagation of the measurement term: p_{n-1} is minus its derivative by x_n, so its
gradient by the weights is -(df_n/dw_n)^T p_n, and by the initial state -p_{-1}.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import compress, islice
from typing import TYPE_CHECKING

import numpy as np

from symda.build.implicit import ImplicitStep
from symda.errors import SolveError
from symda.types import FloatArray

if TYPE_CHECKING:
    import xarray as xr

    from symda.build.kernels import BlockEvaluator
    from symda.observe import Problem


#: Newton iterations of an implicit step, the change at which they end, and the largest that is left
#: where rounding keeps it from falling further, as shares of the state's size.
ITERATIONS = 50
SMALL, SETTLED = 1e-15, 1e-11

UNSOLVED = "the step cannot be solved for its end"


@dataclass(frozen=True, eq=False)
class Backpropagation:
    """Gradient of the measurement term along a path that obeys the model, with the momenta.

    Attributes
    ----------
    states : xarray.DataArray, dims (time, state)
        The path; parameters per step stand behind the states.
    momenta : xarray.DataArray, dims (step, component)
        p_n, the limit of Rf r_n: of the states by name, then of each interior point, as in
        ``"x, interior 1"``; 0 for parameters per step. Of a state with a scale they belong to its
        logarithm or logit.
    loss : float
        sum Rm/2 (h - y)^2, with the factor of the averaging option.
    by_initial : xarray.DataArray, dims (state,)
        Its gradient by the initial state.
    by_parameters : mapping of str to float
        By the parameters that are the same at all times.
    by_step : xarray.DataArray, dims (time, state)
        By the parameters per step, at each grid point.
    experiments : mapping of str to Backpropagation
        Each of several experiments by itself; `loss` and `by_parameters` are their sums, and
        `states`, `momenta` and `by_step` follow one another. `by_initial` has the dims
        (experiment, state) then. Empty for one recording.
    """

    states: xr.DataArray
    momenta: xr.DataArray
    loss: float
    by_initial: xr.DataArray
    by_parameters: Mapping[str, float]
    by_step: xr.DataArray
    experiments: Mapping[str, Backpropagation] = field(default_factory=dict)

    def __repr__(self) -> str:
        given = [f"{self.by_initial.size} initial values", *self.by_parameters]
        given += [f"{name} per step" for name in self.by_step["state"].values]
        named = ", ".join(given[:8]) + (", ..." if len(given) > 8 else "")
        steps = self.momenta.sizes["step"]
        return f"<Backpropagation through {steps} steps: loss {self.loss:.6g}, by {named}>"


def backpropagate(
    at: BlockEvaluator, path: FloatArray, theta: FloatArray, *, explicit: bool
) -> Backpropagation:
    """Go forward through the steps, then backward in the momenta.

    Parameters
    ----------
    path : (M, D)
        Its first row is the initial state; columns of parameters per step are read in every row.
    theta : (P,)
    explicit : bool
        Whether r = x_{n+1} - f(x_n).

    Raises
    ------
    SolveError
        If a step has no solution, or path, loss or momenta leave finite numbers.
    """
    import xarray as xr

    p = at.problem
    steps = _Steps(at, theta)
    X = np.ascontiguousarray(path)
    for n in range(p.N):
        X[n * (1 + p.interior) :][: 2 + p.interior] = steps.forward(n, X, explicit=explicit)
    losses, by_row = at.kernels.engine.point_gradient(
        at.packed.row_states(X), theta, at.packed.points
    )
    by_point = at.packed.by_point(by_row)
    steps.check_points(at.packed.by_point(losses), by_point)
    by_path = by_point[:, : p.D].reshape(-1).copy()
    by_theta = by_point[:, p.D :].sum(axis=0)
    momenta = steps.backward(X, by_path, by_theta, explicit=explicit)
    by_x, by_values = p.slopes(X, theta)
    # of what users see, by what solvers move
    gradient = by_path.reshape(p.M, p.D) / by_x
    X, _ = p.natural(X, theta)
    names = list(p.states)
    inside = [f"{name}, interior {i + 1}" for i in range(p.interior) for name in names]
    time = {"time": p.times}
    return Backpropagation(
        states=xr.DataArray(X, dims=("time", "state"), coords={**time, "state": names}),
        momenta=xr.DataArray(
            momenta, dims=("step", "component"), coords={"component": names + inside}
        ),
        loss=float(losses.sum()),
        by_initial=xr.DataArray(
            gradient[0, p.ruled], dims=("state",), coords={"state": list(compress(names, p.ruled))}
        ),
        by_parameters=dict(zip(p.parameters, (by_theta / by_values).tolist(), strict=True)),
        by_step=xr.DataArray(
            gradient[:, p.per_step],
            dims=("time", "state"),
            coords={**time, "state": list(compress(names, p.per_step))},
        ),
    )


def together(problem: Problem, parts: Mapping[str, Backpropagation]) -> Backpropagation:
    """Add up what was found of each experiment of a problem, in their order."""
    import xarray as xr

    by_parameters = np.zeros(problem.P)
    for use, one in zip(problem.use, parts.values(), strict=True):
        by_parameters[use] += [*one.by_parameters.values()]
    every = list(parts.values())
    names = xr.DataArray(list(parts), dims="experiment", name="experiment")
    return Backpropagation(
        states=xr.concat([one.states for one in every], "time"),
        momenta=xr.concat([one.momenta for one in every], "step"),
        loss=sum(one.loss for one in every),
        by_initial=xr.concat([one.by_initial for one in every], names),
        by_parameters=dict(zip(problem.parameters, by_parameters.tolist(), strict=True)),
        by_step=xr.concat([one.by_step for one in every], "time"),
        experiments=parts,
    )


class _Steps:
    """The steps of a problem one by one."""

    def __init__(self, at: BlockEvaluator, theta: FloatArray) -> None:
        p = at.problem
        self.at, self.theta, self.problem = at, theta, p
        self.step = ImplicitStep(at.kernels, p, p.ruled)

    def forward(self, n: int, X: FloatArray, *, explicit: bool) -> FloatArray:
        """Window n, (2 + I, D), with the points behind x_n where the residual vanishes."""
        p, solved = self.problem, self.step.solved
        window = X[n * (1 + p.interior) :][: 2 + p.interior].copy()
        ends, data = window[1:].reshape(-1), self.at.packed.steps[n : n + 1]
        if explicit:
            # without interior points x_{n+1} = 0 leaves r = -f(x_n)
            ends[solved] = 0.0
            r = self.at.kernels.engine.step_residual(window, self.theta, data)[0]
            ends[solved] = -r[solved]
        else:
            ends[solved] = np.tile(window[0], 1 + p.interior)[solved]
            self._converge(n, window, self.step.newton(window, self.theta, data))
        if not np.isfinite(window).all():
            raise self._failed(n, "the path leaves finite numbers")
        return window

    def _converge(self, n: int, window: FloatArray, changes: Iterator[FloatArray]) -> None:
        last = np.inf
        try:
            for change in islice(changes, ITERATIONS):
                size = float((np.abs(change) / self._sizes(window)).max())
                if size <= SMALL or last <= size <= SETTLED:
                    return
                last = size
        except np.linalg.LinAlgError:
            raise self._failed(n, UNSOLVED) from None
        raise self._failed(n, "Newton's method does not find where the implicit step ends")

    def _sizes(self, window: FloatArray) -> FloatArray:
        """Sizes of what a step determines: declared, or larger in the window, (solved,)."""
        p = self.problem
        declared = p.sizes[: p.D]
        own = np.where(p.scaled[: p.D], 1.0, np.maximum(declared, np.abs(window[1:]).max(axis=0)))
        return np.tile(own, 1 + p.interior)[self.step.solved]

    def check_points(self, losses: FloatArray, by_point: FloatArray) -> None:
        """Refuse measurement terms (M,) and gradients (M, D + P) that are not finite."""
        good = np.isfinite(losses) & np.isfinite(by_point).all(axis=1)
        if not good.all():
            when = f"at t = {self.problem.times[good.argmin()]:.6g}"
            raise self._failed(when, "the measurement term leaves finite numbers")

    def backward(
        self, X: FloatArray, by_path: FloatArray, by_theta: FloatArray, *, explicit: bool
    ) -> FloatArray:
        """Momenta (N, E); what the path's points pass on is added to both gradients on the way."""
        p, solved = self.problem, self.step.solved
        values = self.at.kernels.engine.step_jacobian(X, self.theta, self.at.packed.steps)
        momenta = np.zeros((p.N, p.E))
        for n in reversed(range(p.N)):
            J = self.step.dense(values[n])
            window = by_path[n * p.E :][: p.E + p.D]
            momentum: FloatArray = -window[p.D :][solved]
            if not explicit:
                try:
                    momentum = np.asarray(np.linalg.solve(self.step.square(J).T, momentum))
                except np.linalg.LinAlgError:
                    raise self._failed(n, UNSOLVED) from None
            momenta[n, solved] = momentum
            with np.errstate(over="ignore", invalid="ignore"):
                back = momentum @ J[solved]
            if not np.isfinite(back).all():
                raise self._failed(n, "the momenta leave finite numbers")
            window += back[: p.E + p.D]
            by_theta += back[p.E + p.D :]
        return momenta

    def _failed(self, where: int | str, what: str) -> SolveError:
        if isinstance(where, int):
            where = f"in step {where}, from t = {self.problem.node_times[where]:.6g}"
        return SolveError(
            f"backpropagate: {where}, {what}. Start nearer to where the model lives, or take "
            "shorter steps with steps= or max_step=."
        )
