"""What answers a run's questions: the action that was annealed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from symda.analyse.profile import Profile
    from symda.api.forecast import Forecast
    from symda.api.path_posterior import PathPosterior
    from symda.api.residuals import Residuals
    from symda.api.samples import PathSamples
    from symda.api.specification import Data


@runtime_checkable
class Source(Protocol):
    """An action, as its runs see it; `run` is the `Run` that asks."""

    def path_posterior(self, run: Any, data: Data | None = None) -> PathPosterior:
        """See `Run.posterior`."""

    def profile(
        self, run: Any, parameter: str, data: Data | None = None, *, share: float = 0.95
    ) -> Profile:
        """See `Run.profile`."""

    def forecast(
        self, run: Any, times: ArrayLike | None = None, data: Data | None = None, **how: Any
    ) -> Forecast:
        """See `Run.forecast`."""

    def residuals(self, run: Any, data: Data | None = None) -> Residuals:
        """See `Run.residuals`."""

    def sample(self, run: Any, data: Data | None = None, **how: Any) -> PathSamples:
        """See `Run.sample`."""
