"""`PathPosterior`: how well a run knows every state at every time, and every parameter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import sympy as sp

from symda.analyse.gaussian import Gaussian
from symda.analyse.mixture import moments, quantile
from symda.analyse.posterior import Posterior
from symda.api.quantity import Quantity
from symda.checks import share as probability
from symda.types import BoolArray, FloatArray

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from symda.api.specification import Specification
    from symda.observe import Problem


@dataclass(frozen=True, eq=False)
class PosteriorLevel:
    """One minimum of the action, and the Gaussian about it.

    Attributes
    ----------
    path : int
        The run's path that ended there.
    weight : float
        Its share of the probability of all levels.
    parameters : Posterior
        The distribution of the parameters there.
    gaussian : Gaussian
        That of everything, in the units of what solvers move.
    """

    path: int
    weight: float
    parameters: Posterior
    gaussian: Gaussian


class PathPosterior:
    """Laplace's approximation of exp(-A) at the lowest levels of a run.

    At each level exp(-A) is taken for a Gaussian, whose covariance is the inverse of the action's
    Hessian there; levels count by what lies under them, exp(-A) det(H)^-1/2 (section 6 of
    Abarbanel, Rozdeba and Shirman 2017). Where a scale was declared it is the logarithm, or logit,
    that is Gaussian. Made by `Run.posterior`.

    Attributes
    ----------
    levels : tuple of PosteriorLevel
        The heaviest first.
    rf : ndarray, shape (D,)
        The model precision of each state; infinite where the path is a solution of the equations,
        nan of parameters per step.
    notes : tuple of str
        What limits it.
    """

    def __init__(
        self,
        specification: Specification,
        template: xr.DataArray,
        levels: Sequence[PosteriorLevel],
        rf: FloatArray,
        notes: Sequence[str],
        shift: FloatArray | None = None,
        last_rf: FloatArray | None = None,
        missing: tuple[str, ...] = (),
    ) -> None:
        self._specification, self._template = specification, template
        self.levels, self.rf, self.notes = tuple(levels), rf, tuple(notes)
        self._shift = shift
        #: Which levels are not among these, and why.
        self.missing = missing
        self._rf = rf if last_rf is None else last_rf

    def __repr__(self) -> str:
        count = len(self.levels)
        return f"<PathPosterior: {count} level{'s' * (count > 1)}, {len(self._names)} parameters>"

    def __str__(self) -> str:
        from symda.show.posterior import posterior_text

        heaviest = self.levels[0].gaussian
        held = heaviest.held[: self._problem.unknowns.on_path].reshape(heaviest.path.shape)
        return posterior_text(
            self.table(),
            self.parameters,
            self.directions(),
            self.sd,
            self.rf,
            held,
            self.notes,
            self.nonlinearity,
        )

    @property
    def best(self) -> xr.DataArray:
        """The run's best path, dims (time, state)."""
        return self._template

    @property
    def weights(self) -> FloatArray:
        """Share of each level, (J,)."""
        return np.array([one.weight for one in self.levels])

    @cached_property
    def mean(self) -> xr.DataArray:
        """Expected value of every state, dims (time, state).

        Of one level it is its path; of several their mean by weight, which need not be near any.
        Where a scale was declared it is what solvers move, a logarithm say, that has this
        expectation, so that the value is the median; see `interval`.
        """
        return self._template.copy(data=self._path_moments[0]).rename("mean")

    @cached_property
    def sd(self) -> xr.DataArray:
        """Standard deviation of every state, dims (time, state).

        With a scale that of the logarithm (say) times the derivative, a share of the value: where
        it is no small one `interval` says more. Infinite where nothing determines a value, nan
        where a bound holds it; 0 of what was given.
        """
        return self._template.copy(data=np.sqrt(self._path_moments[1])).rename("sd")

    def interval(self, share: float = 0.95) -> xr.Dataset:
        """Return what holds each state with a probability: `low` and `high`, dims (time, state).

        Parameters
        ----------
        share : float
            The probability, between 0 and 1.
        """
        share = probability(share, "interval: share")
        p = self._problem
        inside = np.stack([one.gaussian.path for one in self.levels])
        sds = np.stack([np.sqrt(self._diagonal(one.gaussian)) for one in self.levels])
        found = {}
        for name, side in (("low", 0.5 - 0.5 * share), ("high", 0.5 + 0.5 * share)):
            ends = quantile(self.weights, inside, sds, side)
            found[name] = self._template.copy(
                data=p.natural(ends, np.zeros((*ends.shape[:1], p.P)))[0]
            )
        import xarray as xr

        return xr.Dataset(found)

    @cached_property
    def parameters(self) -> pd.DataFrame:
        """Free parameters: `value` (expected), `sd`, `low` and `high` (95 %), `at_bound`.

        Indexed by name. Each level's own are ``levels[j].parameters.table()``.
        """
        return self.parameter_table()

    def parameter_table(self, share: float = 0.95) -> pd.DataFrame:
        """Tabulate the free parameters, see `parameters`.

        Parameters
        ----------
        share : float
            Probability that each parameter lies between `low` and `high`.
        """
        import pandas as pd

        share = probability(share, "parameter_table: share")
        every = [one.parameters for one in self.levels]
        values = np.stack([one.values for one in every])
        sds = np.stack([np.array([*one.sd.values()]) for one in every]).reshape(values.shape)
        mean, variance = moments(self.weights, values, sds**2)
        inside = np.stack([one.gaussian.theta[self._free] for one in self.levels])
        own = np.stack([np.array([*one.internal_sd.values()]) for one in every])
        p, found = self._problem, {}
        for name, side in (("low", 0.5 - 0.5 * share), ("high", 0.5 + 0.5 * share)):
            full = np.tile(self.levels[0].gaussian.theta, (1, 1))
            full[0, self._free] = quantile(self.weights, inside, own.reshape(inside.shape), side)
            found[name] = p.natural(np.zeros((1, p.D)), full)[1][0, self._free]
        return pd.DataFrame(
            {
                "value": mean,
                "sd": np.sqrt(variance),
                **found,
                "at_bound": np.any([one.at_bound for one in every], axis=0),
            },
            index=pd.Index(self._names, name="parameter"),
        )

    def table(self) -> pd.DataFrame:
        """Tabulate the levels: `path`, `action`, `log_mass`, `weight`, `held` (unknowns on bounds).

        `log_mass` is -A - 1/2 log det H, by which they are weighed.
        """
        import pandas as pd

        gaussians = [one.gaussian for one in self.levels]
        return pd.DataFrame(
            {
                "path": [one.path for one in self.levels],
                "action": [one.action for one in gaussians],
                "log_mass": [one.log_mass for one in gaussians],
                "weight": self.weights,
                "held": [int(one.held.sum()) for one in gaussians],
            }
        )

    @cached_property
    def shift(self) -> xr.DataArray | None:
        """By how much expected states lie beside the heaviest level's path, dims (time, state).

        The next order of Laplace's method, in the user's units (with a scale by the derivative, as
        `sd`); about a solution that of the action
        at the last Rf. None where it is not known: initial values that are functions of parameters,
        windows that are too large.
        """
        if self._shift is None:
            return None
        heaviest = self.levels[0].gaussian
        own = self._problem.unknowns.split(self._shift)[0] * self._slopes(heaviest)[0]
        return self._template.copy(data=own).rename("shift")

    @cached_property
    def parameter_shift(self) -> Mapping[str, float]:
        """The same of the free parameters; nan where it is not known."""
        p, heaviest = self._problem, self.levels[0].gaussian
        if self._shift is None:
            return dict.fromkeys(self._names, np.nan)
        own = p.unknowns.split(self._shift)[1] * self._slopes(heaviest)[1]
        return dict(zip(self._names, own[self._free].tolist(), strict=True))

    @cached_property
    def nonlinearity(self) -> float:
        """Largest shift of a state or parameter, in its standard deviations; nan if not known.

        Up to 0.3 the approximation is good; from 0.5 on it is none.
        """
        if self._shift is None:
            return np.nan
        one = self.levels[0].gaussian
        variances = np.append(one.variances_of_path.reshape(-1), np.diag(one.of_parameters))
        known = np.isfinite(variances) & (variances > 0.0) & np.isfinite(self._shift)
        return float((np.abs(self._shift[known]) / np.sqrt(variances[known])).max(initial=0.0))

    def directions(self, count: int = 3) -> pd.DataFrame:
        """Tabulate what the data determine least at the heaviest level, `Posterior.directions`."""
        return self.levels[0].parameters.directions(count)

    @cached_property
    def covariance(self) -> xr.DataArray:
        """Covariance of the states at each time, dims (time, state, other)."""
        return self._matrix(
            lambda one, slope: one.covariance * slope[:, :, None] * slope[:, None, :],
            slice(None),
            slice(None),
        )

    @cached_property
    def neighbouring(self) -> xr.DataArray:
        """Covariance of the states at each time but the first with those one grid point before.

        Dims (time, state, other): `other` is the earlier one. nan between experiments.
        """
        return self._matrix(
            lambda one, slope: one.between * slope[1:, :, None] * slope[:-1, None, :],
            slice(1, None),
            slice(None, -1),
        )

    def expected(self, quantity: sp.Expr, over: str | FloatArray | None = None) -> xr.Dataset:
        """Return expected value and standard deviation of a quantity, by the delta method.

        The quantity is taken at each level's path, and its spread is that of its linear part:
        exact for linear quantities only.

        Parameters
        ----------
        quantity : Expr
            G, of states, parameters and time, such as ``x**2 / 2 + k * y``.
        over : {"mean", "integral"} or array, optional
            Its mean over the window, its integral over time (both by trapezoids), or the sum of it
            with a weight at each grid point, (M,): one number, whose spread takes into account that
            errors at different times go together. Left out: G at each time.

        Returns
        -------
        xarray.Dataset
            `mean` and `sd`, with the dimension `time`, or none.

        Raises
        ------
        OptionError
            For symbols that are no states or parameters, or weights of another shape.
        """
        import xarray as xr

        made = Quantity(self._specification, self._problem, quantity)
        weights = None if over is None else made.over(over)
        means, variances = [], []
        for level in self.levels:
            g = level.gaussian
            values, by_state, by_parameter = made.with_slopes(g.path, g.theta)
            if weights is None:
                means.append(values)
                variances.append(g.variances_along(by_state, by_parameter))
                continue
            along = np.append((weights[:, None] * by_state).reshape(-1), weights @ by_parameter)
            means.append(np.asarray(weights @ values))
            variances.append(np.asarray(g.variance(along)))
        mean, variance = moments(self.weights, np.stack(means), np.stack(variances))
        dims = ("time",) if weights is None else ()
        coords = {"time": self._template["time"]} if dims else {}
        return xr.Dataset(
            {"mean": (dims, mean), "sd": (dims, np.sqrt(variance))}, coords, {"G": str(quantity)}
        )

    def information(self) -> pd.DataFrame:
        """Tabulate how much each channel tells of path and parameters, in nats.

        The conditional mutual information of eq. 5, by the Gaussian of the heaviest level: how many
        nats less would be known without the data, all others being there. Of a datum whose value
        has the variance v and its noise the precision Rm it is -1/2 log(1 - v Rm).

        Returns
        -------
        pandas.DataFrame
            By channel: `data`, how many; `each`, the mean of what one tells; `together`, what all
            tell, which is more where they stand in for each other, and infinite where without them
            something is not determined.

        Raises
        ------
        OptionError
            Where noise is not Gaussian, or correlated.
        """
        from symda.api.information import of_channels

        by_datum = self.information_by_time.values
        return of_channels(self._specification, self.levels[0].gaussian, by_datum, self._rf)

    @cached_property
    def information_by_time(self) -> xr.DataArray:
        """What each datum tells, in nats, dims (time, channel); nan where nothing was measured."""
        from symda.api.information import each

        return each(self._specification, self.levels[0].gaussian, self._template["time"])

    @property
    def _problem(self) -> Problem:
        return self.levels[0].gaussian.problem

    @property
    def _free(self) -> BoolArray:
        return self._problem.free

    @property
    def _names(self) -> tuple[str, ...]:
        return self.levels[0].parameters.names

    @cached_property
    def _path_moments(self) -> tuple[FloatArray, FloatArray]:
        natural = np.stack([self._natural(one.gaussian) for one in self.levels])
        variances = np.stack(
            [
                self._diagonal(one.gaussian) * self._slopes(one.gaussian)[0] ** 2
                for one in self.levels
            ]
        )
        return moments(self.weights, natural, variances)

    def _natural(self, one: Gaussian) -> FloatArray:
        return self._problem.natural(one.path, one.theta)[0]

    def _slopes(self, one: Gaussian) -> tuple[FloatArray, FloatArray]:
        return self._problem.slopes(one.path, one.theta)

    def _diagonal(self, one: Gaussian) -> FloatArray:
        return one.variances_of_path

    def _matrix(
        self,
        of: Callable[[Gaussian, FloatArray], FloatArray],
        rows: slice,
        columns: slice,
    ) -> xr.DataArray:
        """Return the covariance (T, D, D) of the mixture of what each level has."""
        import xarray as xr

        paths = [self._natural(one.gaussian) for one in self.levels]
        mean = np.tensordot(self.weights, np.stack(paths), axes=1)
        found = np.zeros((mean[rows].shape[0], *mean.shape[1:], mean.shape[1]))
        for level, path in zip(self.levels, paths, strict=True):
            own = of(level.gaussian, self._slopes(level.gaussian)[0])
            apart = (path - mean)[rows, :, None] * (path - mean)[columns, None, :]
            found += level.weight * (own + apart)
        states = self._template["state"].values
        return xr.DataArray(
            found,
            dims=("time", "state", "other"),
            coords={"time": self._template["time"][rows], "state": states, "other": states},
        )
