"""`Inference`: what an action can be asked about one of its runs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Unpack

import numpy as np

from symda.api.mathematics import Mathematics
from symda.errors import OptionError
from symda.types import FloatArray

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from pandas import DataFrame
    from sympy import Expr

    from symda.analyse.model_precision import ModelPrecision
    from symda.analyse.posterior import Posterior
    from symda.analyse.profile import Profile
    from symda.api.forecast import Forecast
    from symda.api.path_posterior import PathPosterior
    from symda.api.residuals import Residuals
    from symda.api.run import Run
    from symda.api.samples import PathSamples
    from symda.api.specification import Data, GridOptions
    from symda.declare import Parameter
    from symda.observe import Observations, Problem
    from symda.observe.forcing import ForcingInput


class Inference(Mathematics):
    """How well a run knows its answer: error bars, profiles, the model's precision."""

    @abstractmethod
    def bind(self, data: Data, **grid: Unpack[GridOptions]) -> Problem:
        """Put observations on this action's grid; see `Action.bind`."""

    def posterior(
        self,
        run: Run,
        data: Data,
        *,
        path: int | None = None,
        **grid: Unpack[GridOptions],
    ) -> Posterior:
        """Return standard deviations of the parameters, and directions that the data leave open.

        Laplace's approximation at the last rung of a path: the inverse of the Hessian's Schur
        complement of the path, with the model precision Rf of that rung. Parameters per step are
        part of the path and integrated out with it; their values are those of `Run.best.states`.

        Parameters
        ----------
        run : Run
            Of this action and these data.
        data : Observations, Experiments or Problem
            What was measured.
        path : int, optional
            Which path; the one of lowest action when left out.
        **grid
            As for `bind`; what `anneal` was given.

        Returns
        -------
        Posterior
            Print its `table()` and its `directions()`.

        Raises
        ------
        OptionError
            If the run is of other data, the action is averaged, or only parameters per step are
            free.
        SolveError
            If the action has no minimum at the path.
        """
        from symda.api.checked_run import as_annealed
        from symda.api.posterior import posterior

        problem = self.bind(data, **as_annealed(run, data, grid))
        return posterior(self.specification.of(problem), run, problem, path)

    def path_posterior(
        self, run: Run, data: Data | None = None, **grid: Unpack[GridOptions]
    ) -> PathPosterior:
        """Return error bars of every state and parameter; see `Run.posterior`, which calls this.

        Parameters
        ----------
        run : Run
            Of this action.
        data : Observations, Experiments or Problem, optional
            What was measured; a run that `anneal` returned knows.
        **grid
            As for `bind`; what `anneal` was given.
        """
        from symda.api.posterior import path_posterior

        problem = self._asked("posterior", run, data, grid)
        return path_posterior(self.specification.of(problem), run, problem)

    def residuals(
        self, run: Run, data: Data | None = None, **grid: Unpack[GridOptions]
    ) -> Residuals:
        """Say what of data and equations rejects the model; see `Run.residuals`, which calls this.

        Parameters
        ----------
        run : Run
            Of this action.
        data : Observations, Experiments or Problem, optional
            What was measured; a run that `anneal` returned knows.
        **grid
            As for `bind`; what `anneal` was given.
        """
        from symda.api.standardising import residuals

        problem = self._asked("residuals", run, data, grid)
        return residuals(self.specification.of(problem), run, problem)

    def sample(
        self,
        run: Run,
        data: Data | None = None,
        *,
        draws: int = 400,
        chains: int = 4,
        method: str = "auto",
        seed: int = 0,
        time_limit: float = 300.0,
        **grid: Unpack[GridOptions],
    ) -> PathSamples:
        """Draw paths and parameters from exp(-A); see `Run.sample`, which calls this.

        Parameters
        ----------
        run : Run
            Of this action.
        data : Observations, Experiments or Problem, optional
            What was measured; a run that `anneal` returned knows.
        draws, chains, method, seed, time_limit
            As for `Run.sample`.
        **grid
            As for `bind`; what `anneal` was given.
        """
        from symda.api.sampling import sample

        problem = self._asked("sample", run, data, grid)
        return sample(
            self.specification.of(problem),
            run,
            problem,
            draws=draws,
            chains=chains,
            method=method,
            seed=seed,
            time_limit=time_limit,
        )

    def _asked(self, call: str, run: Run, data: Data | None, grid: GridOptions) -> Problem:
        """Return the problem a run is of: its own, or that of the data given."""
        from symda.api.checked_run import as_annealed

        if data is not None:
            return self.bind(data, **as_annealed(run, data, grid))
        problem: Problem | None = getattr(run, "problem", None)
        if problem is None:
            raise OptionError(f"{call}: a run from a file does not know its data: pass data=.")
        return problem

    def profile(
        self,
        run: Run,
        parameter: str | Parameter,
        data: Data | None = None,
        *,
        share: float = 0.95,
        **grid: Unpack[GridOptions],
    ) -> Profile:
        """Return a parameter's profile likelihood; see `Run.profile`, which calls this.

        Parameters
        ----------
        run : Run
            Of this action.
        parameter : str or Parameter
            A free one.
        data : Observations, Experiments or Problem, optional
            What was measured; a run that `anneal` returned knows.
        share : float
            Probability up to whose interval the profile goes.
        **grid
            As for `bind`; what `anneal` was given.
        """
        from symda.api.profile import profile

        problem = self._asked("profile", run, data, grid)
        specification = self.specification.of(problem)
        return profile(specification, run, problem, str(parameter), share)

    def design(
        self,
        run: Run,
        candidates: Mapping[str, tuple[Expr, float]],
        data: Data | None = None,
        **grid: Unpack[GridOptions],
    ) -> DataFrame:
        """Say which further measurement would tell most, and when.

        One more datum of a quantity with the variance v at the estimate, and noise of variance s2,
        is expected to tell 1/2 log(1 + v/s2) nats of path and parameters, by Laplace's
        approximation (`Run.posterior`).

        Parameters
        ----------
        run : Run
            Of this action.
        candidates : mapping of str to (Expr, float)
            Name -> a quantity of states and parameters, and the variance of its noise.
        data : Observations, Experiments or Problem, optional
            What was measured; a run that `anneal` returned knows.
        **grid
            As for `bind`; what `anneal` was given.

        Returns
        -------
        pandas.DataFrame
            By candidate, the best first: `time` of the best datum and its `information`, and the
            `mean` over the window. ``.attrs["by_time"]`` has all, dims (candidate, time).
        """
        from symda.api.information import gains, ranked

        posterior = self.path_posterior(run, data, **grid)

        def sd_of(quantity: Expr) -> FloatArray:
            return np.asarray(posterior.expected(quantity)["sd"])

        return ranked(gains(candidates, sd_of, posterior.sd["time"]))

    def forecast(
        self,
        run: Run,
        times: ArrayLike | None = None,
        data: Data | None = None,
        *,
        new_data: Observations | None = None,
        forcing: Mapping[str, ForcingInput] | None = None,
        draws: int = 400,
        seed: int = 0,
        experiment: str | None = None,
        exponent: float | None = None,
        samples: PathSamples | None = None,
        **grid: Unpack[GridOptions],
    ) -> Forecast:
        """Say what comes after a run's window; see `Run.forecast`, which calls this.

        Parameters
        ----------
        run : Run
            Of this action.
        times, new_data, forcing, draws, seed, experiment, exponent, samples
            As for `Run.forecast`.
        data : Observations, Experiments or Problem, optional
            What was measured in the window; a run that `anneal` returned knows.
        **grid
            As for `bind`; what `anneal` was given.
        """
        from symda.api.forecasting import forecast

        problem = self._asked("forecast", run, data, grid)
        return forecast(
            self.specification.of(problem),
            run,
            problem,
            times,
            new_data,
            forcing,
            draws=draws,
            seed=seed,
            experiment=experiment,
            exponent=exponent,
            samples=samples,
        )

    def model_precision(self, run: Run, data: Data, **grid: Unpack[GridOptions]) -> ModelPrecision:
        """Estimate the model's precision Rf: where the data are most probable.

        Least is E(log Rf) = A - n/2 log Rf + 1/2 log det H - sum_n log|det J_n|: A is the least
        action at this Rf, n the number of model errors, H the Hessian there, J_n the derivative of
        a step's residuals by the points that it leads to, 1 for explicit schemes. exp(-E) is the
        marginal likelihood by Laplace's method: path, first states and parameters are integrated
        out, with flat densities of what solvers move where no prior is declared. That is exact for
        linear models with Gaussian noise whose free parameters enter additively only. Other
        parameters change det H; where that would move one by more than half of its standard
        deviation there is no estimate (of more than 20 parameters it is not checked, which is
        said). (The least action of path and Rf together has no minimum: -n/2 log Rf falls without
        end.)

        All states' Rf have the ratios of the ladder, and what is estimated is their common factor,
        between the first rung and the last that the best path climbed, and beyond where E does not
        rise up to there. Each Rf is solved with ``newton`` from the nearest one that is known,
        beginning with the last rung. Where an unknown reaches or leaves a bound near the estimate
        there is none.

        Parameters
        ----------
        run : Run
            Of this action and these data, of three rungs or more.
        data : Observations, Experiments or Problem
            What was measured.
        **grid
            As for `bind`; what `anneal` was given.

        Returns
        -------
        ModelPrecision
            Print it: Rf with its interval, or in words why there is no estimate.

        Raises
        ------
        OptionError
            If the run is of other data or of fewer rungs, or the action is averaged or matrix-free.
        SolveError
            If the action has no minimum at the last rung or where E is least, or its Hessian none
            that is positive definite, since the data leave unknowns open.

        Notes
        -----
        The number of model errors counts those of interior points of a scheme. E compares between
        actions (correlations of errors, schemes, steps) on the same data that have the same free
        parameters in the same units, the same priors and the same walks (parameters per step): the
        normalisers of priors, walks and data are not in it, and each free parameter or first state
        brings its unit. Of a nonlinear implicit scheme J_n is taken at the minimum.
        """
        from symda.api.checked_run import as_annealed
        from symda.api.model_precision import model_precision

        problem = self.bind(data, **as_annealed(run, data, grid))
        return model_precision(self.specification.of(problem), run, problem)
