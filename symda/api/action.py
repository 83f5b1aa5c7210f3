"""`Action`: from a model and measured quantities to equations and compiled kernels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self, Unpack

from symda.api.inference import Inference
from symda.api.kernels import ActionKernels
from symda.api.machine import machine
from symda.api.mathematics import Mathematics
from symda.api.specification import LISTED, Data, GridOptions, Specification
from symda.declare import (
    Declaration,
    LatticeModel,
    Measurement,
    Model,
    Parameter,
    State,
    know_correlations,
    know_initial,
    measure,
)
from symda.declare.network import Network
from symda.discretise import Method, Scheme, find_scheme, moved
from symda.errors import OptionError
from symda.observe import Problem
from symda.observe.weights import Averaging, ErrorForm, averaging_factors, step_weights

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from sympy import Expr

    from symda.analyse.backpropagation import Backpropagation
    from symda.api.check import Check
    from symda.api.cycles import Cycles
    from symda.api.cycling import Prior
    from symda.build import Options
    from symda.build.abstract import Kernels
    from symda.derive.lattice import MachineField
    from symda.emit import Source


#: States above which a model with sites is matrix-free unless told otherwise.
DENSE = 200


class Action(Inference):
    """The action of a model, measured quantities and a scheme: eq. 10 of Abarbanel et al. 2017.

    A(X, theta) = sum_{t,l} Rm_tl/2 (h_l(x_t) - y_tl)^2 + sum_{n,a} Rf_a/2 r_na^2, r the scheme's
    residual.

    Parameters
    ----------
    model : Model
        The equations.
    measured : sequence of Expr, or mapping of str to Expr
        The L measured quantities h(x, theta); a mapping names the channels.
    scheme : str, Tableau or Scheme, optional
        Name in `symda.SCHEMES`, or a tableau or scheme of one's own; ``rk4`` for an ODE when left
        out, ``map`` for a map.
    model_error : {"step", "rate"}
        ``"step"``: Rf weighs the squared residual of a step, as in the papers. ``"rate"``: Rf /
        h_n, which has a limit as h goes to 0 and makes non-uniform steps consistent.
    averaging : str
        ``"sum"`` (eq. 10), ``"eq2"``, ``"eq14"``, ``"minaone"`` or ``"varanneal"``: factors on the
        two sums, see `symda.observe.weights.averaging_factors`.
    matrix_free : bool, optional
        Of a model with sites: emit loops over sites and products with derivatives instead of
        matrices, for solvers ``"newton"`` (truncated) and ``"lbfgs"``; when left out, above
        `DENSE` = 200 states.
    initial : mapping of State or str to Expr or float, optional
        States whose value at the first grid point is known: a number, or a function of
        parameters, which may be new ones. They are no unknowns there. `Observations` may say
        other numbers.
    correlated : bool
        Write equations and kernels for noise that is correlated across channels. Data with a
        covariance bring that along by themselves; here it is said to read them beforehand.
    error_correlations : mapping of (State or str, State or str) to float, or array_like, optional
        Correlations C between the states' errors of a step, which are independent when left out:
        of pairs of states, or a matrix of all that have an equation. The model term is then
        sum_n r_n^T (Rf^1/2 C^-1 Rf^1/2) r_n/2, so that Rf of a state, as before, is one over the
        variance of its error.

    Raises
    ------
    ModelError
        If a measured quantity, or an initial value, is not one.
    OptionError
        If the scheme, `model_error` or `averaging` is unknown or does not fit the model,
        `matrix_free` is asked of a model without sites, or `error_correlations` are none.
    """

    def __new__(cls, *given: object, **options: object) -> Self:
        """Of a network it makes a `NetworkAction`."""
        if given and isinstance(given[0], Network):
            from symda.api.network import network_action

            # not of this class, so that what follows is not called
            return network_action(*given, **options)  # type: ignore[arg-type, return-value]
        return super().__new__(cls)

    def __init__(
        self,
        model: Model,
        measured: Sequence[Expr] | Mapping[str, Expr],
        *,
        scheme: str | Method | Scheme | None = None,
        model_error: ErrorForm = "step",
        averaging: Averaging = "sum",
        matrix_free: bool | None = None,
        initial: Mapping[State | str, Expr | float] | None = None,
        correlated: bool = False,
        error_correlations: Mapping[tuple[State | str, State | str], float]
        | ArrayLike
        | None = None,
    ) -> None:
        import numpy as np

        if not isinstance(model, Model):
            raise OptionError(
                f"Action: the first argument is a symda.Model, got {type(model).__name__}; "
                "make one with sd.Model({x: dx/dt, ...})."
            )
        known, measurement = know_initial(model, measure(model, measured), initial)
        if not isinstance(correlated, bool):
            raise OptionError(f"Action: correlated must be True or False, got {correlated!r}.")
        measurement = replace(measurement, correlated=correlated and len(measurement.names) > 1)
        chosen = find_scheme(scheme, discrete=model.discrete)
        if chosen.partitioned:
            moved(chosen, model)  # refuses what does not go together
        # refused here, where the user made the mistake, not when data come
        averaging_factors(averaging, N=1, M=1, D=1, L=1, T=1)
        step_weights(model_error, 1.0, np.ones(1), discrete=model.discrete)
        correlations = know_correlations(model, error_correlations)
        free = _is_matrix_free(model, matrix_free)
        if free and correlations is not None:
            raise OptionError(
                "Action: error_correlations need matrices, and this action is matrix-free. Take "
                "matrix_free=False where blocks of D x D fit, or leave them out."
            )
        if free:
            _refuse_matrix_free(model, measurement)
            _check_unscaled(measurement.declarations(model))
        if free and model.controls:
            raise OptionError(
                f"Action: the model has the control {model.controls[0].name!r} and is matrix-free; "
                "controls need matrices. Take matrix_free=False where blocks of D x D fit."
            )
        super().__init__(
            Specification(
                model, measurement, chosen, model_error, averaging, free, known, correlations
            )
        )

    def __repr__(self) -> str:
        return repr(self.specification)

    @property
    def direct(self) -> tuple[int, ...]:
        """For each channel the index of the state it measures as it is, else -1."""
        return self.specification.direct

    @property
    def field(self) -> MachineField:
        """F and h with two derivatives as CasADi functions."""
        return self.specification.field

    @property
    def emitted(self) -> Source:
        """The Cython module of this problem, as text."""
        return self.specification.emitted

    @property
    def emitted_newton(self) -> Source:
        """The Cython module of this problem's structured Newton solver, as text."""
        return self.specification.emitted_newton

    def _repr_html_(self) -> str:
        from symda.show.report import action_html

        facts = (
            ("scheme", self.scheme.name),
            ("model error", self.model_error),
            ("averaging", self.averaging),
            ("parameters", ", ".join(p.name for p in self.parameters[:LISTED]) or "none"),
        )
        return action_html(repr(self), self.model._repr_latex_(), facts)

    def compile(
        self, into: str | Path | None = None, *, options: Options | None = None
    ) -> ActionKernels:
        """Build the kernels, or take them from the cache.

        Parameters
        ----------
        into : path, optional
            Folder to write the emitted source to as well, ``<model>_<scheme>.pyx``.
        options : Options, optional
            Compiler and flags.

        Returns
        -------
        ActionKernels
            One set serves any data, N, Rm, Rf and choice of free parameters.

        Raises
        ------
        BuildError
            If the compiler fails; the message shows its words and where the source lies.

        Warns
        -----
        VirtualMachineWarning
            If there is no compiler: CasADi's virtual machine evaluates instead, more slowly.
        """
        from symda.build import write_source

        if into is not None:
            write_source(self.emitted, into)
        specification = self.specification

        def of(problem: Problem) -> Kernels:
            return machine(specification.of(problem), options)

        return ActionKernels(specification, machine(specification, options), of)

    def of(self, problem: Problem) -> Action:
        """Return the action that evaluates a problem: this one, or its like for correlated noise.

        The latter's equations, text and kernels know of a covariance of several channels.
        """
        specification = self.specification.of(problem)
        if specification is self.specification:
            return self
        found = copy(self)
        Mathematics.__init__(found, specification)
        return found

    def bind(self, data: Data, **grid: Unpack[GridOptions]) -> Problem:
        """Put observations on this action's grid.

        Parameters
        ----------
        data : Observations, Experiments or Problem
            What was measured: one recording, several (a list, or a mapping of names to them), or a
            problem made before, which is returned as it is. The options of the grid are those of
            each recording.
        steps : int or sequence of int
            Model steps in each interval between observation times.
        max_step : float, optional
            Instead of `steps`: the largest step length.
        start, stop : float, optional
            Model time may begin before the first and end after the last observation.
        midpoint_data : bool
            With ``hermite-simpson``: one step spans two data intervals, every other datum lies on
            a midpoint.
        fixed : mapping of parameter to float or None
            Values to hold parameters at; None estimates one that was declared with a value.
            ``"k[sweep 1]"`` is k in the experiment ``"sweep 1"`` only.

        Returns
        -------
        Problem

        Raises
        ------
        DataError, OptionError
            If the data do not fit the action.
        """
        return self.specification.bind(data, **grid)

    def check(self, data: Data, **grid: Unpack[GridOptions]) -> Check:
        """Check a problem before it is annealed: sizes, scales, memory, the time to expect.

        Parameters
        ----------
        data : Observations, Experiments or Problem
            What was measured.
        **grid
            As for `bind`.
        """
        from symda.api.check import check

        problem = self.bind(data, **grid)
        return check(self.specification.of(problem), problem)

    def cycle(
        self,
        data: Data,
        *,
        rf: float | Mapping[State | str, float] = float("inf"),
        window: int = 20,
        every: int = 1,
        prior: Prior | None = None,
        inflation: float = 1.01,
        widen: float = 1e-4,
        store: str | Path | None = None,
        **grid: Unpack[GridOptions],
    ) -> Cycles:
        """Assimilate data as they arrive: window after window, each from the last one's posterior.

        A cycle takes in the next data: it forecasts them, then minimises the action of the last
        `window` cycles' data and of what those before them told (fixed-lag smoothing by
        Gauss-Newton with exact tangents). Let it begin with what is known, or with a run of
        `anneal` over the first data.

        Parameters
        ----------
        data : Observations
            One recording. With `store`, all data so far: those that were taken in are not again.
        rf : float or mapping of state to float
            Precision of the model's errors in a step, one over their variance; inf: the model makes
            none, and windows are solutions of its equations.
        window : int
            Cycles whose data are fitted together.
        every : int
            Times with data that a cycle takes in.
        prior : mapping, Run or Cycles, optional
            What is known at the grid's first point: ``{state or parameter: (mean, sd)}``, or the
            posterior at the end of a run or of earlier cycles, whose time the grid then begins at;
            data of that time are left out. For what is not named, or if left out, a Gaussian with
            mean and variance of the start range.
        inflation : float
            Factor on all standard deviations, 1 or more, each time the window moves on: errors that
            the quadratic does not see, being those of a model that is not linear.
        widen : float
            Probability below which new data contradict the forecast: then variances of what was
            known before the window are enlarged until they agree, or states are as if unknown. 0:
            never.
        store : path, optional
            Folder to keep cycles in as they come. The same call goes on, with the same numbers to
            the last bit; with more data, after those that are there.
        **grid
            As for `bind`.

        Returns
        -------
        Cycles

        Raises
        ------
        DataError, OptionError
            If data, options or store do not fit.
        SolveError
            If the model cannot be followed to the first data. Later on cycles stop there, and say
            so.
        """
        from symda.api.cycling import cycle

        return cycle(
            self.specification,
            data,
            rf=rf,
            window=window,
            every=every,
            prior=prior,
            inflation=inflation,
            widen=widen,
            store=store,
            grid=grid,
        )

    def backpropagate(
        self,
        data: Data,
        initial: ArrayLike | Mapping[str, float] | Mapping[str, ArrayLike | Mapping[str, float]],
        parameters: Mapping[str, ArrayLike] | ArrayLike | None = None,
        **grid: Unpack[GridOptions],
    ) -> Backpropagation:
        """Differentiate the measurement term along a path that obeys the model exactly.

        The limit Rf -> infinity of the action: forward through the steps, then backward in the
        momenta p_n = Rf r_n, which is back-propagation. Parameters per step are weights of layers.

        Parameters
        ----------
        data : Observations, Experiments or Problem
            What was measured.
        initial : array_like or mapping of str to float
            The state at the first grid point, without parameters per step; of several experiments
            a mapping of their names to one each.
        parameters : mapping of str to array_like, or array_like (P,), optional
            A parameter per step has a number, M values (one a grid point) or N (one a step);
            constants left out take the value they were declared with. ``"k[sweep 1]"`` is k in the
            experiment ``"sweep 1"`` only.
        **grid
            As for `bind`.

        Raises
        ------
        DataError, OptionError
            If a number is missing or none, or the action is matrix-free.
        SolveError
            If the path leaves finite numbers, or an implicit step has no end.
        """
        from symda.api.backpropagation import backpropagate

        problem = self.bind(data, **grid)
        return backpropagate(self.specification.of(problem), problem, initial, parameters)

    def report(self, path: str | Path) -> Path:
        """Write all there is to read of this action: model, equations, structure, emitted source.

        Parameters
        ----------
        path : str or Path
            ``.html``: one page that needs nothing else, whose formulas the browser sets itself;
            ``.md``: Markdown as GitHub reads it, ``.tex``: LaTeX, both with figures in a folder
            beside them.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        OptionError
            If the suffix is another, or the file cannot be written.
        """
        from symda.api.report import report_action

        return report_action(Mathematics(self.specification), path)


def _refuse_matrix_free(model: Model, measurement: Measurement) -> None:
    """Refuse noise and priors that kernels without matrices do not know."""
    if measurement.correlated:
        raise OptionError(
            "Action: correlated=True, and a matrix-free lattice knows noise that is independent "
            "between channels. Take matrix_free=False, or leave correlated out."
        )
    for name, noise in zip(measurement.names, measurement.noises, strict=True):
        if not noise.gaussian:
            raise OptionError(
                f"Action: channel {name!r} has {noise}, and a matrix-free lattice knows Gaussian "
                "noise of the data's variance only. Take matrix_free=False, or plain expressions."
            )
    for symbol, declared in measurement.declarations(model).items():
        if declared.prior is not None:
            raise OptionError(
                f"Action: {symbol.name!r} has a prior, which a matrix-free lattice does not know. "
                "Take matrix_free=False, or leave the prior out."
            )


def _is_matrix_free(model: Model, wanted: bool | None) -> bool:
    if wanted is not None and not isinstance(wanted, bool):
        raise OptionError(f"Action: matrix_free must be True, False or None, got {wanted!r}.")
    if wanted and not isinstance(model, LatticeModel):
        raise OptionError(
            "Action: matrix_free=True needs a model with sites, {x[i]: ...} with i = sd.site(...); "
            f"{model.name!r} has an equation for each state."
        )
    large = isinstance(model, LatticeModel) and len(model.states) > DENSE
    return large if wanted is None else wanted


def _check_unscaled(declarations: Mapping[State | Parameter, Declaration]) -> None:
    """Refuse scales where the equations of one site stand for all."""
    for symbol, one in declarations.items():
        if one.scale is not None:
            raise OptionError(
                f"Action: {symbol.name!r} has scale={one.scale!r}, which an action without "
                "matrices does not take. Leave scale out, or make the action with "
                "matrix_free=False where blocks of D x D fit."
            )
