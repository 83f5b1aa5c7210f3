"""What the data say about the parameters: the Laplace posterior at a minimum of the action."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from symda.checks import share as probability
from symda.errors import OptionError, SolveError, nearest
from symda.scale import Scale
from symda.types import BoolArray, FloatArray

if TYPE_CHECKING:
    import pandas as pd
    from scipy.sparse import csc_array


#: A curvature below this share of what the data give without the path's freedom is rounding error.
ROUNDING = 1e-12
#: A value of a smaller share of the typical size is 0, and relative to it squares would overflow.
NOTHING = 1e-100
#: Components of a direction that are this share of its largest are named.
NAMED = 0.3


@dataclass(frozen=True, eq=False)
class Posterior:
    """Gaussian approximation exp(-A) of the free parameters' distribution, the path integrated out.

    Attributes
    ----------
    names : tuple of str, (P,)
        The free parameters.
    values : (P,)
        Where the action is least.
    at_bound : (P,) bool
        Held by a bound: conditional on that, the others' covariance is given; these have none.
    covariance : (P, P)
        nan in rows and columns of parameters at a bound; infinite variances of those that the data
        leave free.
    scale : (P,)
        The sizes that relative spreads are measured in: the absolute values, for next to nothing
        (1e-100 of it) the typical size.
    spreads : (Q,)
        Standard deviations along the principal directions, relative, the widest first; Q parameters
        are not at a bound.
    axes : (Q, P)
        The principal directions in relative units, orthonormal rows.
    unseen : tuple of str
        States that no measured quantity depends on: the data leave them undetermined, and they say
        nothing about the parameters.
    coordinates : tuple of Scale, (P,)
        How each parameter is moved: what is Gaussian is its logarithm where it was declared with
        ``scale="log"``. Values and covariance are those of the parameters themselves, by their
        derivatives (the delta method); `interval` goes through the logarithm.
    """

    names: tuple[str, ...]
    values: FloatArray
    at_bound: BoolArray
    covariance: FloatArray
    scale: FloatArray
    spreads: FloatArray
    axes: FloatArray
    unseen: tuple[str, ...] = ()
    coordinates: tuple[Scale, ...] = ()

    @property
    def internal_sd(self) -> Mapping[str, float]:
        """Standard deviation of what solvers move: of the logarithm, say; else the same as `sd`."""
        slopes = [one.slope(one.internal(v)) for one, v in self._own]
        return {
            name: sd / float(slope)
            for (name, sd), slope in zip(self.sd.items(), slopes, strict=True)
        }

    def interval(self, share: float = 0.95) -> Mapping[str, tuple[float, float]]:
        """Return the interval that holds each parameter with a probability.

        Symmetric about the value; of a parameter on a log scale the value divided and multiplied
        by one factor, so that it never holds numbers below 0, of one with a logit it stays between
        the bounds. nan at a bound.

        Parameters
        ----------
        share : float
            The probability.
        """
        z = NormalDist().inv_cdf(0.5 + 0.5 * probability(share, "interval: share"))
        found = {}
        for (one, value), (name, sd) in zip(self._own, self.internal_sd.items(), strict=True):
            with np.errstate(all="ignore"):
                ends = one.natural(one.internal(value) + z * sd * np.array([-1.0, 1.0]))
            found[name] = (float(ends[0]), float(ends[1]))
        return found

    @property
    def _own(self) -> list[tuple[Scale, FloatArray]]:
        scales = self.coordinates or (Scale(),) * len(self.names)
        return list(zip(scales, self.values, strict=True))

    @property
    def sd(self) -> Mapping[str, float]:
        """Standard deviation of each parameter; nan at a bound, inf where the data say nothing."""
        return dict(zip(self.names, np.sqrt(np.diag(self.covariance)).tolist(), strict=True))

    @property
    def relative_sd(self) -> Mapping[str, float]:
        """Standard deviations divided by `scale`."""
        return dict(
            zip(self.names, np.divide([*self.sd.values()], self.scale).tolist(), strict=True)
        )

    def table(self, truth: Mapping[str, float] | None = None) -> pd.DataFrame:
        """Tabulate the parameters.

        Parameters
        ----------
        truth : mapping of str to float, optional
            True values of all free parameters, for instance of a twin experiment.

        Returns
        -------
        pandas.DataFrame
            Indexed by name: `value`, `sd`, `relative_sd`, `low` and `high` (`interval`),
            `at_bound`; with `truth` also `truth`, `error` (relative to it) and `z` (the deviation
            in standard deviations, of what solvers move: logarithms, say).

        Raises
        ------
        OptionError
            If `truth` lacks a parameter.
        """
        import pandas as pd

        intervals = np.array([*self.interval().values()]).reshape(-1, 2)
        table = pd.DataFrame(
            {
                "value": self.values,
                "sd": list(self.sd.values()),
                "relative_sd": list(self.relative_sd.values()),
                "low": intervals[:, 0],
                "high": intervals[:, 1],
                "at_bound": self.at_bound,
            },
            index=pd.Index(self.names, name="parameter"),
        )
        if truth is not None:
            for name in self.names:
                if name not in truth:
                    raise OptionError(
                        f"table: truth has no value for the parameter {name!r}."
                        f"{nearest(name, truth)}"
                    )
            table["truth"] = [float(truth[name]) for name in self.names]
            off = table["value"] - table["truth"]
            table["error"] = off / table["truth"].abs()
            moved = [
                one.internal(value) - one.internal(true)
                for (one, value), true in zip(self._own, table["truth"], strict=True)
            ]
            table["z"] = np.array(moved) / [*self.internal_sd.values()]
        return table

    def directions(self, count: int = 3) -> pd.DataFrame:
        """Tabulate the combinations of parameters that the data determine least.

        Parameters
        ----------
        count : int
            How many; fewer if there are fewer parameters.

        Returns
        -------
        pandas.DataFrame
            `relative_sd` along each principal direction, the widest first, and its largest
            `components`, as in ``"gNa +0.80, tm0 -0.53"``: gNa rises by 0.80 percent of itself
            while tm0 falls by 0.53 percent.

        Notes
        -----
        Such directions are usual in models with many parameters: R. N. Gutenkunst et al., PLoS
        Comput. Biol. 3 (2007) e189.
        """
        import pandas as pd

        return pd.DataFrame(
            {
                "relative_sd": self.spreads[:count],
                "components": [self._named(axis) for axis in self.axes[:count]],
            }
        )

    def _named(self, axis: FloatArray) -> str:
        order = np.argsort(-np.abs(axis), kind="stable")
        large = [i for i in order if abs(axis[i]) >= NAMED * abs(axis[order[0]])]
        sign = 1.0 if axis[order[0]] > 0.0 else -1.0
        return ", ".join(f"{self.names[i]} {sign * axis[i]:+.2f}" for i in large)


def posterior(
    hessian: csc_array,
    names: Sequence[str],
    values: FloatArray,
    *,
    typical: FloatArray,
    free: BoolArray,
    held: BoolArray,
    unseen: tuple[str, ...] = (),
    path: BoolArray | None = None,
    coordinates: tuple[Scale, ...] = (),
) -> Posterior:
    """Return the parameters' distribution from the Hessian of the action at a minimum.

    The path's unknowns are integrated out: the covariance is the inverse of the Schur complement
    S = C - B^T A^-1 B, where A is the path's block of the Hessian (banded), C the parameters' and B
    the border.

    Parameters
    ----------
    hessian : csc_array (M D + P, M D + P)
        Of the action, at the minimum; parameters stand last.
    names : sequence of str, (P,)
        All parameters.
    values : (P,)
        Their values, as solvers move them.
    typical : (P,)
        Their typical sizes.
    free : (P,)
        Which of them are estimated.
    held : (M D + P,)
        Unknowns held by a bound: they are left out, as if they were known.
    unseen : tuple of str
        States that nothing measured depends on.
    path : (M D,), optional
        Unknowns of the path to integrate out; those of unseen states are not among them.
    coordinates : sequence of Scale, (P,), optional
        How the parameters are moved.

    Raises
    ------
    SolveError
        If the action has no minimum there: its Hessian is not positive definite, or not finite.
    """
    P = len(names)
    inside = ~held[: held.size - P]
    path_at = np.flatnonzero(inside if path is None else inside & path)
    theta = np.flatnonzero(free & ~held[held.size - P :])
    border = hessian[:, held.size - P + theta]
    A, B = hessian[path_at][:, path_at], border[path_at].toarray()
    C = border[held.size - P + theta].toarray()
    moved, own = values, coordinates or (Scale(),) * P
    values = np.array([one.natural(z) for one, z in zip(own, moved, strict=True)])
    scale = np.where(np.abs(values) < NOTHING * typical, typical, np.abs(values))
    # the change of what solvers move that is a relative change of one
    relative = scale / np.array([one.slope(z) for one, z in zip(own, moved, strict=True)])
    relative = relative[theta]
    plain = C * np.outer(relative, relative)
    schur = plain - _explained(A, B * relative)
    axes, variances, flat = principal(schur, np.diag(plain))
    covariance = np.full((P, P), np.nan)
    spread = _spread_out(axes, variances, flat)
    covariance[np.ix_(theta, theta)] = spread * np.outer(scale[theta], scale[theta])
    chosen = np.flatnonzero(free)
    wide = np.zeros((theta.size, P))
    wide[:, theta] = axes.T
    return Posterior(
        names=tuple(names[i] for i in chosen.tolist()),
        values=values[chosen],
        at_bound=held[held.size - P + chosen],
        covariance=covariance[np.ix_(chosen, chosen)],
        scale=scale[chosen],
        spreads=np.sqrt(variances),
        axes=wide[:, chosen],
        unseen=unseen,
        coordinates=tuple(coordinates[i] for i in chosen.tolist()) if coordinates else (),
    )


def principal(schur: FloatArray, plain: FloatArray) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Return the principal directions of what the data say of parameters, the widest first.

    Parameters
    ----------
    schur : (P, P)
        The action's Hessian, everything else integrated out, in relative units.
    plain : (P,)
        The diagonal that it would have if everything else were known.

    Returns
    -------
    axes : (P, P)
        Directions, orthonormal columns.
    variances : (P,)
        Along each; infinite where it is flat.
    flat : (P,) bool
        Whether there is no curvature but rounding error.

    Raises
    ------
    SolveError
        If it is not finite, or the action falls along one.
    """
    schur = 0.5 * (schur + schur.T)
    if not np.isfinite(schur).all():
        raise SolveError("The posterior needs a finite Hessian; the action has none at this path.")
    curvatures, axes = np.linalg.eigh(schur)
    rounding = ROUNDING * float(np.abs(plain).max(initial=0.0))
    if (curvatures < -rounding).any():
        raise no_minimum("along a combination of parameters")
    flat = curvatures <= rounding
    return axes, np.where(flat, np.inf, 1.0 / np.where(flat, 1.0, curvatures)), flat


def _explained(A: csc_array, B: FloatArray) -> FloatArray:
    """B^T A^-1 B of a banded, positive definite A, scaled to a unit diagonal first."""
    from scipy.linalg import LinAlgError, cholesky_banded, lapack

    if not B.size:
        # LAPACK is not safe without right-hand sides
        return np.zeros((B.shape[1], B.shape[1]))
    lower = A.tocoo()
    kept = lower.row >= lower.col
    row, column, data = lower.row[kept], lower.col[kept], lower.data[kept]
    diagonal = A.diagonal()
    if not np.isfinite(data).all():
        raise SolveError("The posterior needs a finite Hessian; the action has none at this path.")
    if (diagonal <= 0.0).any():
        raise no_minimum("along the path")
    root = np.sqrt(diagonal)
    width = int((row - column).max())
    band = np.zeros((width + 1, len(root)))
    band[row - column, column] = data / (root[row] * root[column])
    try:
        factor = cholesky_banded(band, lower=True)
    except LinAlgError:
        raise no_minimum("along the path") from None
    half = lapack.dtbtrs(factor, B / root[:, None], uplo="L")[0]
    explained: FloatArray = half.T @ half
    return explained


def _spread_out(axes: FloatArray, variances: FloatArray, flat: BoolArray) -> FloatArray:
    """Covariance of what the axes carry; infinite on the diagonal where a flat one takes part."""
    steep = axes[:, ~flat]
    covariance: FloatArray = (steep * variances[~flat]) @ steep.T
    part = (axes[:, flat] ** 2).sum(axis=1) > np.sqrt(np.finfo(float).eps)
    covariance[part, :] = np.nan
    covariance[:, part] = np.nan
    covariance[part, part] = np.inf
    return covariance


def no_minimum(where: str) -> SolveError:
    """Return what is said where the Hessian is not positive definite."""
    return SolveError(
        f"The action has no minimum here: its Hessian is not positive definite {where}. Anneal "
        "with a smaller tol or a larger max_iter, and look at the path's status."
    )
