"""`Questions`: what a run can be asked beyond what it holds: how well it knows, and what comes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from symda.api.mathematics import Mathematics
from symda.api.source import Source
from symda.errors import OptionError, SolveError, SymdaError
from symda.types import FloatArray

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import ArrayLike
    from sympy import Expr

    from symda.analyse.profile import Profile
    from symda.api.forecast import Forecast
    from symda.api.path_posterior import PathPosterior
    from symda.api.residuals import Residuals
    from symda.api.samples import PathSamples
    from symda.api.specification import Data
    from symda.declare import Parameter
    from symda.observe import Observations, Problem
    from symda.observe.forcing import ForcingInput


class Questions:
    """Answers that take the action that was annealed, and the data.

    Attributes
    ----------
    action : Mathematics or None
    problem : Problem or None
    """

    action: Mathematics | None
    problem: Problem | None
    _posterior: PathPosterior | None = None

    def posterior(self, action: Source | None = None, data: Data | None = None) -> PathPosterior:
        """Return error bars of every state at every time, and of the parameters.

        Laplace's approximation at each level that carries a thousandth of the heaviest's weight or
        more, among the minima that this run met. Of a level that was finished as a solution of the
        equations the model is taken as exact; else errors of the model of precision Rf are part of
        what is not known.

        Parameters
        ----------
        action, data : optional
            What was annealed; a run that `anneal` returned knows them, one from a file does not.

        Returns
        -------
        PathPosterior
            Print it; `mean`, `sd`, `interval()` of the states, `parameters`, `expected(G)`.

        Raises
        ------
        OptionError
            If the run is of other data, from a file without these, averaged, or matrix-free.
        SolveError
            If the action has no minimum at the best path.

        See Also
        --------
        Action.posterior : The parameters about any one path.
        """
        source = self._source("posterior", action, data)
        if action is not None or data is not None:
            return source.path_posterior(self, data)
        if self._posterior is None:
            self._posterior = source.path_posterior(self)
        return self._posterior

    def _knowledge(self) -> list[str]:
        """Return what error bars add to a summary, where they can be asked for."""
        from symda.show.posterior import knowledge_lines

        if self.problem is None or not isinstance(self.action, Source):
            return []
        try:
            found = self.posterior()
        except SymdaError as error:
            return [f"error bars: none. {error}"]
        try:
            told = found.information_by_time
        except SymdaError:
            told = None
        return knowledge_lines(found.table(), found.directions(), told, found.nonlinearity)

    def residuals(self, action: Source | None = None, data: Data | None = None) -> Residuals:
        """Say what is left of data and equations, and what of it rejects the model, and when.

        Residuals of the data, and errors of each equation at each step, over the standard deviation
        that estimates of them have if model, precision and noise are right (A. Harvey and S.
        Koopman, J. Business and Economic Statistics 10, 1992, 377). What is larger than chance
        allows is named with its time, and whether residuals of a channel are like their neighbours.

        Parameters
        ----------
        action, data : optional
            As for `posterior`.

        Returns
        -------
        Residuals
            Print it; `data`, `model`, and tables `channels` and `states`.

        Raises
        ------
        OptionError
            As `posterior`; where noise is not Gaussian or correlated, or errors of the model go
            together.
        SolveError
            If the action has no minimum at the best path.
        """
        return self._source("residuals", action, data).residuals(self, data)

    def sample(
        self,
        draws: int = 400,
        *,
        chains: int = 4,
        method: str = "auto",
        seed: int = 0,
        time_limit: float = 300.0,
        action: Source | None = None,
        data: Data | None = None,
    ) -> PathSamples:
        """Draw paths and parameters from exp(-A), the probability that the action stands for.

        Where `posterior` says that Laplace's approximation is poor, and for expected values of what
        is not linear. Levels count as there. A pilot chooses, level by level, between independent
        draws by randomise-then-optimise, weighted exactly, and chains of split Hamiltonian Monte
        Carlo, which also check the former.

        Parameters
        ----------
        draws : int
            How many.
        chains : int
            Chains, from different starts, that have to agree.
        method : {"auto", "rto", "hmc"}
            "rto": importance draws only; "hmc": chains only.
        seed : int
        time_limit : float
            Seconds after which what there is has to do; 300 if left out.
        action, data : optional
            As for `posterior`.

        Returns
        -------
        PathSamples
            Print it; `mean`, `sd`, `parameters`, `expected(G)`. Where `determined` is False the
            draws do not agree with one another, and no number is given.

        Raises
        ------
        OptionError
            As `posterior`.
        SolveError
            If the action has no minimum at the best path, or something is not determined at all.
        """
        how: dict[str, Any] = {"chains": chains, "method": method, "seed": seed}
        how |= {"draws": draws, "time_limit": time_limit}
        return self._source("sample", action, data).sample(self, data, **how)

    def expected(
        self, quantity: Expr, over: str | FloatArray | None = None, **how: Any
    ) -> xr.Dataset:
        """Return the expected value of a quantity, by sampling: ``run.sample(...).expected(...)``.

        Parameters
        ----------
        quantity : Expr
            Of states, parameters and time.
        over : {"mean", "integral"} or array, optional
            See `PathSamples.expected`.
        **how
            Options of `sample`.

        Raises
        ------
        OptionError
            For symbols that are no states or parameters, or weights of another shape.
        SolveError
            If the draws do not agree: nothing is determined.
        """
        known = {name: how[name] for name in ("action", "data") if name in how}
        self.posterior(**known).expected(quantity, over)  # refuses what is no quantity at once
        samples = self.sample(**how)
        if not samples.determined:
            raise SolveError(f"expected: the draws do not agree. {'; '.join(samples.notes)}.")
        return samples.expected(quantity, over)

    def profile(
        self,
        parameter: str | Parameter,
        *,
        share: float = 0.95,
        action: Source | None = None,
        data: Data | None = None,
    ) -> Profile:
        """Return the least action for each value of a parameter: its profile likelihood.

        From the best path outwards, everything else minimised at each value, until the action has
        risen by what an interval of a probability takes, 1.92 for 95 % (Wilks' theorem). Unlike
        error bars it needs no quadratic action, and says where an interval has no end.

        Parameters
        ----------
        parameter : str or Parameter
            A free one.
        share : float
            The probability.
        action, data : optional
            As for `posterior`.

        Returns
        -------
        Profile
            `table()`, `interval()`; print it.

        Raises
        ------
        OptionError
            As `posterior`, or if there is no such free parameter.
        SolveError
            If the action has no minimum at the best path.
        """
        name = str(parameter)
        return self._source("profile", action, data).profile(self, name, data, share=share)

    def forecast(
        self,
        times: ArrayLike | None = None,
        *,
        new_data: Observations | None = None,
        forcing: Mapping[str, ForcingInput] | None = None,
        draws: int = 400,
        seed: int = 0,
        experiment: str | None = None,
        exponent: float | None = None,
        samples: PathSamples | None = None,
        action: Source | None = None,
        data: Data | None = None,
    ) -> Forecast:
        """Say what comes after the window, with bands, and how well it was right.

        Last states and parameters are drawn from `posterior`, of every level by its weight, and led
        forward by the equations. Where Rf is finite the model's errors of that precision are added
        at the end of each step, of the length of the window's last; the bands then answer what
        comes if the model errs by so much. A band of the best path alone would be far too narrow.

        Parameters
        ----------
        times : array_like, shape (T,), optional
            From the end of the window on; of maps whole numbers.
        new_data : Observations, optional
            What was measured then: their times are taken, or added, and the forecast is scored.
        forcing : mapping of str to forcing, optional
            From the end of the window on; that of `new_data` when left out.
        draws : int
            How many, K.
        seed : int
            For draws.
        experiment : str, optional
            Which of several.
        exponent : float, optional
            The largest Lyapunov exponent, for valid times in Lyapunov times.
        samples : PathSamples, optional
            Of this run, to draw from in place of `posterior`: where that is poor, or a bound holds
            a parameter.
        action, data : optional
            As for `posterior`.

        Returns
        -------
        Forecast
            Print or `plot()` it; `interval()` of the states, `data_interval()`, `scores`.

        Raises
        ------
        DataError
            If times begin before the window ends, new data have other channels, or a forcing ends
            before the forecast does.
        OptionError
            As `posterior`; or of parameters per step, which have no values later.
        SolveError
            If something at the window's end is not determined, or most draws cannot be followed.
        """
        how = {
            "new_data": new_data,
            "forcing": forcing,
            "draws": draws,
            "seed": seed,
            "experiment": experiment,
            "exponent": exponent,
            "samples": samples,
        }
        return self._source("forecast", action, data).forecast(self, times, data, **how)

    def _source(self, call: str, action: Source | None, data: Data | None) -> Source:
        """Return the action that a question of this run goes to."""
        if action is not None and not isinstance(action, Source):
            raise OptionError(f"{call}: action is a symda.Action, got {type(action).__name__}.")
        known = self.action if action is None else action
        if not isinstance(known, Source) or (data is None and self.problem is None):
            raise OptionError(
                f"{call}: a run from a file knows neither its action nor its data. Pass what it "
                f"was annealed with: run.{call}(action=action, data=data); with options of the "
                "grid data=action.bind(data, steps=..., fixed=...)."
            )
        return known
