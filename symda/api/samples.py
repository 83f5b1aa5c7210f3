"""`PathSamples`: paths and parameters drawn from exp(-A), and what is expected of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from symda.api.path_posterior import PathPosterior
from symda.api.quantity import Quantity
from symda.checks import integer, package
from symda.checks import share as probability
from symda.errors import SolveError
from symda.sample.mixing import effective
from symda.sample.plan import Drawn
from symda.sample.target import Target
from symda.types import FloatArray, IntArray

if TYPE_CHECKING:
    import pandas as pd
    import sympy as sp
    import xarray as xr

    from symda.api.specification import Specification

#: A level whose draws say nothing, and that has more weight than this, leaves nothing determined.
LITTLE = 0.01


class PathSamples:
    """Draws of paths and parameters, with weights.

    Made by `Run.sample`. Numbers are nan where the draws do not agree with one another; then
    `determined` is False, and `notes` say why.

    Attributes
    ----------
    posterior : PathPosterior
        Laplace's approximation, to compare with.
    weights : ndarray, shape (S,)
        Together 1.
    levels : DataFrame
        For each level, or several that are not apart: `paths` of the run, `method`, `draws`,
        `weight`, `effective` draws, `spread` of the logarithm of weights and `shape` of their tail,
        share of draws that `failed`, share of the chains' places that importance draws `reached`,
        `r_hat` of chains.
    determined : bool
    notes : tuple of str
    """

    def __init__(
        self,
        specification: Specification,
        posterior: PathPosterior,
        drawn: Sequence[tuple[Target, Drawn, tuple[int, ...]]],
    ) -> None:
        self.posterior = posterior
        self._specification = specification
        self._drawn = drawn
        self._problem = posterior.levels[0].gaussian.problem
        masses = np.array([one.log_mass for _, one, _ in drawn])
        shares = np.exp(masses - masses.max()) if len(masses) > 1 else np.ones(1)
        self._shares = shares / shares.sum()
        self.weights = np.concatenate(
            [share * one.weights for share, (_, one, _) in zip(self._shares, drawn, strict=True)]
        )
        self.notes, self.determined = self._said()

    def __repr__(self) -> str:
        return f"<PathSamples: {self.weights.size} draws of {len(self._drawn)} levels>"

    def __str__(self) -> str:
        from symda.show.samples import samples_text

        return samples_text(
            self.levels, self.parameters, self.determined, self.notes, self._away, self.posterior.rf
        )

    def _said(self) -> tuple[tuple[str, ...], bool]:
        notes: list[str] = []
        determined = True
        several = len(self._drawn) > 1
        for share, (_, one, paths) in zip(self._shares, self._drawn, strict=True):
            which = f"level of path {paths[0]}: " if several else ""
            if len(paths) > 1:
                some = ", ".join(map(str, paths))
                notes.append(
                    f"the levels of paths {some} are not apart, and were drawn from together"
                )
            notes += [which + words for words in one.notes]
            if one.doubts:
                notes += [which + words for words in one.doubts]
                # what no draw was found of may have any weight
                determined &= bool(share <= LITTLE and np.isfinite(one.log_mass))
        return (*notes, *self._flat(), *self.posterior.missing), determined

    def _flat(self) -> list[str]:
        """Say what has a scale and no prior: the density is flat over the logarithm."""
        p, declared = self._problem, self._specification.declarations
        known = {str(one) for one, what in declared.items() if what.prior is not None}
        names = [
            name
            for name, scaled in zip([*p.states, *p.parameters], p.scaled, strict=True)
            if scaled and name not in known
        ]
        if not names:
            return []
        some = ", ".join(names[:8]) + f" and {len(names) - 8} more" * (len(names) > 8)
        return [f"on a scale and without a prior, so that all logarithms are as likely: {some}"]

    @cached_property
    def levels(self) -> pd.DataFrame:
        """A row for each level, see above."""
        import pandas as pd

        rows = [
            {
                "paths": ", ".join(map(str, paths)),
                "method": one.method,
                "draws": len(one.x),
                "weight": share,
                "doubts": "; ".join(one.doubts),
                **one.numbers,
            }
            for share, (_, one, paths) in zip(self._shares, self._drawn, strict=True)
        ]
        return pd.DataFrame(rows)

    @cached_property
    def _whole(self) -> tuple[FloatArray, FloatArray]:
        """Paths (S, M, D) and parameters (S, P) in the user's units."""
        p = self._problem
        paths, thetas = [], []
        for target, one, _ in self._drawn:
            for x in one.x:
                path, theta = p.natural(*target.whole(x))
                paths.append(path)
                thetas.append(theta)
        return np.stack(paths), np.stack(thetas)

    @cached_property
    def states(self) -> xr.DataArray:
        """All draws of the path, dims (draw, time, state); mind `weights`."""
        template = self.posterior.mean
        found: xr.DataArray = template.expand_dims(draw=self.weights.size).copy(data=self._whole[0])
        return found.rename("states")

    @cached_property
    def parameter_draws(self) -> pd.DataFrame:
        """All draws of the free parameters, a column each; mind `weights`."""
        import pandas as pd

        p = self._problem
        names = [p.parameters[i] for i in np.flatnonzero(p.free)]
        return pd.DataFrame(self._whole[1][:, p.free], columns=names).rename_axis("draw")

    @cached_property
    def mean(self) -> xr.DataArray:
        """Expected states, dims (time, state)."""
        found = self._moments(self._whole[0])[0]
        return self.posterior.mean.copy(data=found).rename("mean")

    @cached_property
    def sd(self) -> xr.DataArray:
        """Standard deviation of each state, dims (time, state)."""
        found = self._moments(self._whole[0])[1]
        return self.posterior.mean.copy(data=found).rename("sd")

    def interval(self, share: float = 0.95) -> xr.Dataset:
        """Return what holds each state with a probability: `low` and `high`, dims (time, state).

        Parameters
        ----------
        share : float
            The probability, between 0 and 1.
        """
        import xarray as xr

        share = probability(share, "interval: share")
        template = self.posterior.mean
        return xr.Dataset(
            {
                name: template.copy(data=self._quantile(self._whole[0], at)).rename(name)
                for name, at in (("low", 0.5 - 0.5 * share), ("high", 0.5 + 0.5 * share))
            }
        )

    @cached_property
    def parameters(self) -> pd.DataFrame:
        """Free parameters: `value` (expected), `sd`, `low` and `high` (95 %), `mcse`.

        The last is the standard deviation of `value` from one set of draws to the next.
        """
        import pandas as pd

        draws = self.parameter_draws
        mean, sd, error = self._moments(draws.values)
        table = {
            "value": mean,
            "sd": sd,
            "low": self._quantile(draws.values, 0.025),
            "high": self._quantile(draws.values, 0.975),
            "mcse": error,
        }
        return pd.DataFrame(table, index=pd.Index(draws.columns, name="parameter"))

    def expected(self, quantity: sp.Expr, over: str | FloatArray | None = None) -> xr.Dataset:
        """Return expected value and standard deviation of a quantity.

        Parameters
        ----------
        quantity : Expr
            G, of states, parameters and time, such as ``x**2 / 2 + k * y``.
        over : {"mean", "integral"} or array, optional
            Its mean over the window, its integral over time (both by trapezoids), or the sum of it
            with a weight at each grid point, (M,). Left out: G at each time.

        Returns
        -------
        xarray.Dataset
            `mean`, `sd`, and `mcse`, the standard deviation of `mean` from one set of draws to the
            next; with the dimension `time`, or none. ``attrs["notes"]`` say why some are nan.

        Raises
        ------
        OptionError
            For symbols that are no states or parameters, or weights of another shape.
        """
        import xarray as xr

        made = Quantity(self._specification, self._problem, quantity)
        weights = None if over is None else made.over(over)
        values = made.along(*self._whole)
        if weights is not None:
            values = values @ weights
        lost = ~np.isfinite(values.reshape(len(values), -1)).all(axis=1)
        notes = list(self.notes) if not self.determined else []
        if lost.any():
            notes.append(f"G is not finite at {int(lost.sum())} of {lost.size} draws")
        mean, sd, error = self._moments(values)
        dims = ("time",) if weights is None else ()
        coords = {"time": self.posterior.mean["time"]} if dims else {}
        data: dict[str, Any] = {"mean": (dims, mean), "sd": (dims, sd), "mcse": (dims, error)}
        return xr.Dataset(data, coords, {"G": str(quantity), "notes": "; ".join(notes)})

    def equal(self, count: int | None = None, seed: int = 0) -> IntArray:
        """Return numbers of draws (count,) that stand for all with equal weights, in any order.

        Parameters
        ----------
        count : int, optional
            As many as there are effective draws, or all where they have equal weights, if left out.
        seed : int
        """
        w = self.weights
        if count is None:
            count = max(1, int(1.0 / (w @ w) + 0.5))
        count = integer(count, "equal: count", least=1)
        rng = np.random.default_rng(integer(seed, "equal: seed", least=0))
        # one in each share of 1/count, so that no draw comes out more often than it has to
        at = (np.arange(count) + rng.random()) / count
        found = np.searchsorted(np.cumsum(w), at).clip(max=w.size - 1)
        return np.asarray(rng.permutation(found))

    def ends(self, point: int, count: int, seed: int = 0) -> tuple[FloatArray, FloatArray]:
        """Return states (K, D) at a grid point and parameters (K, P), as solvers move them.

        Raises
        ------
        SolveError
            If nothing is determined.
        """
        if not self.determined:
            raise SolveError(f"the draws do not agree: {'; '.join(self.notes[:2])}.")
        at = self.equal(count, seed)
        paths, thetas = (one[at] for one in self._whole)
        path, theta = self._problem.internal(paths[:, [point]], thetas)
        return path[:, 0], theta

    def to_arviz(self) -> Any:
        """Return the draws for ArviZ: states and parameters, with equal weights.

        Chains stay chains where all is of chains of one level; else there is one.

        Raises
        ------
        OptionError
            If arviz is not installed.
        SolveError
            If nothing is determined.
        """
        import xarray as xr

        arviz = package("arviz", "to_arviz", "arviz")
        if not self.determined:
            raise SolveError(f"to_arviz: the draws do not agree: {'; '.join(self.notes[:2])}.")
        _, first, _ = self._drawn[0]
        chains, at = 1, None
        if len(self._drawn) == 1 and first.method == "hmc":
            chains, at = int(first.blocks.max()) + 1, np.arange(self.weights.size)
        at = self.equal() if at is None else at
        shape = chains, at.size // chains
        paths, thetas = (one[at].reshape(*shape, *one.shape[1:]) for one in self._whole)
        p, time = self._problem, self.posterior.mean["time"]
        found: dict[str, Any] = {
            name: (("chain", "draw", "time"), paths[..., i]) for i, name in enumerate(p.states)
        }
        found |= {
            p.parameters[i]: (("chain", "draw"), thetas[..., i]) for i in np.flatnonzero(p.free)
        }
        coords = {"chain": np.arange(chains), "draw": np.arange(shape[1]), "time": time.values}
        dataset = xr.Dataset(found, coords)
        if hasattr(arviz, "InferenceData"):
            return arviz.InferenceData(posterior=dataset)
        return xr.DataTree.from_dict({"posterior": dataset})

    @cached_property
    def _away(self) -> float:
        """Largest difference of expected states and parameters from the heaviest path's, in sd."""
        heaviest = self.posterior.levels[0].gaussian
        path, theta = self._problem.natural(heaviest.path, heaviest.theta)
        free = self._problem.free
        sd = np.append(self.sd.values, self.parameters["sd"].to_numpy())
        mean = np.append(self.mean.values, self.parameters["value"].to_numpy())
        away = np.abs(mean - np.append(path, theta[free]))
        some = sd > 0.0
        return float((away[some] / sd[some]).max(initial=0.0)) if self.determined else np.nan

    def _moments(self, values: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return mean, standard deviation, and standard error of the mean, of values (S, ...)."""
        shape = values.shape[1:]
        if not self.determined:
            nothing = np.full(shape, np.nan)
            return nothing, nothing, nothing
        flat = values.reshape(len(values), -1)
        mean = self.weights @ flat
        variance = self.weights @ (flat - mean) ** 2
        error, begin = np.zeros(mean.size), 0
        for share, (_, one, _) in zip(self._shares, self._drawn, strict=True):
            own = flat[begin : begin + len(one.x)]
            begin += len(one.x)
            error += share**2 * _error(one, own)
            if len(self._drawn) > 1:
                # what is not known of the level's weight
                away = one.weights @ own - mean
                error += (share * away * np.nan_to_num(one.log_error)) ** 2
        found = (mean, np.sqrt(np.maximum(variance, 0.0)), np.sqrt(error))
        return found[0].reshape(shape), found[1].reshape(shape), found[2].reshape(shape)

    def _quantile(self, values: FloatArray, at: float) -> FloatArray:
        """Return what values (S, ...) lie below with a probability."""
        if not self.determined:
            return np.full(values.shape[1:], np.nan)
        flat = values.reshape(len(values), -1)
        found = np.empty(flat.shape[1])
        for k, column in enumerate(flat.T):
            order = np.argsort(column)
            w = self.weights[order]
            found[k] = np.interp(at, np.cumsum(w) - 0.5 * w, column[order])
        return found.reshape(values.shape[1:])


def _error(one: Drawn, values: FloatArray) -> FloatArray:
    """Return the variance of the mean of values (S, k) of a level's draws."""
    w = one.weights
    mean = w @ values
    if one.method == "hmc":
        m = int(one.blocks.max()) + 1
        chains = values.reshape(m, len(values) // m, values.shape[1])
        if chains.shape[1] < 4:
            return np.full(values.shape[1], np.nan)
        with np.errstate(invalid="ignore", divide="ignore"):
            found = values.var(axis=0) / effective(chains)
        return np.where(values.var(axis=0) > 0.0, found, 0.0)
    # opposite numbers go together
    beside = w[:, None] * (values - mean)
    total = np.zeros((int(one.blocks.max()) + 1, values.shape[1]))
    np.add.at(total, one.blocks, beside)
    return np.asarray((total**2).sum(axis=0))
