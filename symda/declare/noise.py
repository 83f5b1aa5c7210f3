"""The noise of all channels as numbers: what data cost on average, and quantile residuals."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import sympy as sp

from symda.covariance import covariances, whitened
from symda.declare.distributions import Distribution, Normal, PriorOfValue
from symda.declare.measure import Measurement
from symda.errors import ModelError
from symda.types import BoolArray, FloatArray

#: Times the data are drawn to find what they cost on average.
DRAWS = 400
#: Noise of less, beside the spread of the data, is none.
NOTHING = 1e-5


@dataclass(frozen=True)
class NoiseNumbers:
    """What the distributions of a measurement say at the predictors of an estimate.

    Rows of data are those of a problem: its grid points and then its repeats. `eta` (R, Q) holds
    the predictors, `y` and `rm` (R, L) the data and their precision, rm = 0 where there are none,
    and `cross` (R, K) what the precision of correlated noise has off its diagonal.
    """

    measurement: Measurement
    channels: int  #: How many of the channels are data; after them come values that are paid.
    priors: int = 0  #: How many of these, the last ones, have priors.
    seed: int = field(default=0)

    def expected(self, eta: FloatArray, rm: FloatArray) -> tuple[float, float]:
        """Return mean and standard deviation of what data drawn at `eta` cost, and values drawn.

        By the formula where the noise is Gaussian with the data's variance, correlated or not, else
        by drawing the data, and values that have priors, `DRAWS` times. Both are nan where nothing
        can be drawn, or values have a prior that is not Gaussian.
        """
        rng = np.random.default_rng([self.seed, 0])
        mean = variance = 0.0
        for l in self.judged:
            noise = self.measurement.noises[l]
            seen = rm[:, l] > 0.0
            count = int(seen.sum())
            if not count:
                continue
            if noise.gaussian:
                mean, variance = mean + 0.5 * count, variance + 0.5 * count
                continue
            values, precision = self._values(l, eta, seen), rm[seen, l]
            if isinstance(noise, PriorOfValue):
                noise = noise.prior  # what is drawn is the value
                if not isinstance(noise, Normal):
                    # what fitting takes off is half of one for each only if all is Gaussian
                    return np.nan, np.nan
                del values[""]
                values = noise.columns(values, count)
            try:
                frozen = noise.frozen(values, 1.0 / precision)
                drawn = np.stack(
                    [np.broadcast_to(frozen.rvs(random_state=rng), (count,)) for _ in range(DRAWS)]
                )
            except ModelError:
                return np.nan, np.nan
            total = cost_of(noise, values, drawn, precision).sum(axis=1)
            mean, variance = mean + float(total.mean()), variance + float(total.var(ddof=1))
        return mean, float(np.sqrt(variance))

    def residuals(
        self, eta: FloatArray, y: FloatArray, rm: FloatArray, cross: FloatArray | None = None
    ) -> FloatArray:
        """Return randomised quantile residuals, (R, L); nan where there are none.

        They are standard normal where the model and its noise are right. Of a count, the quantile
        is drawn between those of one less and of itself; correlated noise is `whitened`.

        References
        ----------
        P. K. Dunn and G. K. Smyth, Randomized quantile residuals, J. Comput. Graph. Stat. 5 (1996)
        236.
        """
        from scipy.special import ndtri

        rng = np.random.default_rng([self.seed, 1])
        found = np.full((len(y), self.channels), np.nan)
        errors = y[:, : self.channels] - eta[:, : self.channels]
        white = np.sqrt(rm[:, : self.channels]) * errors
        if cross is not None and cross.size:
            white = whitened(covariances(rm[:, : self.channels], cross), errors)
        for l, noise in enumerate(self.measurement.noises[: self.channels]):
            seen = rm[:, l] > 0.0
            if not seen.any():
                continue
            if noise.gaussian:
                found[seen, l] = white[seen, l]
                continue
            try:
                frozen = noise.frozen(self._values(l, eta, seen), 1.0 / rm[seen, l])
            except ModelError:
                continue
            data = y[seen, l]
            top = frozen.cdf(data)
            below = (
                frozen.cdf(data - 1.0) if noise.counts else frozen.cdf(np.nextafter(data, -np.inf))
            )
            quantile = below + (top - below) * rng.uniform(size=data.size)
            found[seen, l] = ndtri(np.clip(quantile, 1e-300, 1.0 - 1e-16))
        return found

    def vanished(self, eta: FloatArray, y: FloatArray, rm: FloatArray) -> list[int]:
        """Return the channels whose scale is next to nothing beside the spread of their data."""
        found = []
        for l, own in enumerate(self.measurement.places[: self.channels]):
            seen = rm[:, l] > 0.0
            if "scale" not in own or not seen.any():
                continue
            noise = self.measurement.noises[l]
            size = 1.0 if noise.relative else float(y[seen, l].std()) or abs(float(y[seen, l][0]))
            if float(np.median(eta[seen, own["scale"]])) < NOTHING * size:
                found.append(l)
        return found

    @property
    def judged(self) -> list[int]:
        """Channels whose costs have an expectation: data, and values with priors."""
        every = len(self.measurement.noises)
        return [*range(self.channels), *range(every - self.priors, every)]

    def fixed_scale(self, rm: FloatArray) -> tuple[int, int]:
        """Count the data and values with priors whose scale is not estimated, and all of them."""
        own, every = 0, 0
        for l in self.judged:
            count = int((rm[:, l] > 0.0).sum())
            every += count
            if not {"scale", "size", "df"} & self.measurement.noises[l].terms.keys():
                own += count
        return own, every

    def _values(self, l: int, eta: FloatArray, seen: BoolArray) -> dict[str, FloatArray]:
        return {name: eta[seen, k] for name, k in self.measurement.places[l].items()}


def drawn_data(
    measurement: Measurement,
    l: int,
    eta: FloatArray,
    variances: FloatArray,
    rng: np.random.Generator,
) -> FloatArray:
    """Draw values of channel l, (R,), where its predictors are `eta` (R, Q).

    Parameters
    ----------
    variances : (R,)
        Of the data, where the noise has no scale of its own.
    """
    noise = measurement.noises[l]
    values = {name: eta[:, k] for name, k in measurement.places[l].items()}
    found = np.asarray(noise.frozen(values, variances).rvs(random_state=rng), dtype=float)
    return np.broadcast_to(found, (len(eta),)).copy()


def cost_of(
    noise: Distribution, values: dict[str, FloatArray], y: FloatArray, rm: FloatArray
) -> FloatArray:
    """Return -log p of data, of the shape of `y`."""
    from scipy.special import betaln, gammaln, log_ndtr

    def log_rise(k: FloatArray, y: FloatArray) -> FloatArray:
        y = np.maximum(y, 1e-300)
        rise: FloatArray = gammaln(y) - betaln(k, y) - y * np.log(k)
        return rise

    terms = {name: sp.Dummy(name, real=True) for name in noise.terms}
    datum, precision = sp.Dummy("y", real=True), sp.Dummy("rm", positive=True)
    expression = noise.with_terms(terms).cost(datum, precision)
    known = {"loggamma": gammaln, "log_ndtr": log_ndtr, "log_rise": log_rise, "log1p": np.log1p}
    function = sp.lambdify([datum, precision, *terms.values()], expression, [known, "numpy"])
    with np.errstate(all="ignore"):
        found = function(y, rm, *(values[name] for name in terms))
    return np.broadcast_to(np.asarray(found, dtype=float), y.shape)
