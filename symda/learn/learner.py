"""The protocol of all methods of learning, in the manner of scikit-learn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from symda.declare.model import Model
from symda.errors import DataError, OptionError, SolveError, nearest
from symda.learn.field import Field
from symda.learn.series import Recordings, Series, Times, as_series
from symda.types import FloatArray


class Learner(ABC):
    """A dataclass whose fields are the options; ``fit`` learns, ``predict`` forecasts."""

    #: How tables call the method.
    name: str

    def fit(self, data: Recordings, t: Times = None) -> Self:
        """Learn from recordings.

        Parameters
        ----------
        data : Observations, several in a list, mapping or `symda.Experiments`, or array (T, D)
            Or a list of arrays; nan at gaps.
        t : float, (T,), or a list of them
            With arrays: the step, or the times.

        Returns
        -------
        Self

        Raises
        ------
        DataError
            If a recording is none, there is too little for the method, or terms cannot be told
            apart.
        OptionError
            If an option is invalid, or a package that the method needs is not installed.
        ModelError, SolveError
            If a model of yours has no parameters to fit, or nothing that was found is finite.
        """
        where = f"{type(self).__name__}.fit"
        self.learn(*as_series(data, t, where), where)
        return self

    @abstractmethod
    def learn(self, series: Sequence[Series], names: Sequence[str], where: str) -> None:
        """Learn from recordings with named columns, `where` being how messages name the call."""

    @abstractmethod
    def steps(self, x: FloatArray, h: float, count: int) -> FloatArray:
        """Return the states (count, K, D) behind `x` (K, D), h apart; nan behind a divergence."""

    def predict(self, x0: ArrayLike, times: ArrayLike) -> FloatArray:
        """Forecast from a state.

        Parameters
        ----------
        x0 : (D,) or (K, D)
            States at the first of the times.
        times : (T,)
            Evenly spaced.

        Returns
        -------
        ndarray (T, D) or (K, T, D)
            nan behind a divergence.

        Raises
        ------
        DataError
            If the shapes do not fit, or times are not evenly spaced.
        SolveError
            If nothing was fitted.
        """
        self.check_fitted("predict")
        start, when = np.asarray(x0, dtype=np.float64), np.asarray(times, dtype=np.float64)
        if start.ndim not in (1, 2) or start.shape[-1] != self.D:
            raise DataError(f"predict: x0 must be ({self.D},) or (K, {self.D}), got {start.shape}.")
        if when.ndim != 1 or when.size < 1 or not np.isfinite(when).all():
            raise DataError("predict: times must be numbers, (T,), got " + repr(when.shape))
        h = np.diff(when)
        if h.size and not (h[0] > 0.0 and np.allclose(h, h[0], rtol=1e-6)):
            raise DataError("predict: times must rise evenly; forecast on a finer grid and choose.")
        first = np.atleast_2d(start)
        later = self.steps(first, float(h[0]), h.size) if h.size else np.empty((0, *first.shape))
        found = np.concatenate([first[None], later]).transpose(1, 0, 2)
        return found if start.ndim == 2 else found[0]

    @property
    @abstractmethod
    def D(self) -> int:
        """Number of states."""

    @abstractmethod
    def check_fitted(self, what: str) -> None:
        """Raise `SolveError` if `fit` was not called."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the options by name."""
        del deep  # no option is a method of learning itself
        options = [one.name for one in fields(self) if one.init]  # type: ignore[arg-type]
        return {name: getattr(self, name) for name in options}

    def set_params(self, **options: Any) -> Self:
        """Change options.

        Raises
        ------
        OptionError
            If there is no such option.
        """
        known = self.get_params()
        for name, value in options.items():
            if name not in known:
                raise OptionError(
                    f"{type(self).__name__}: there is no option {name!r}.{nearest(name, known)} "
                    f"Options are {', '.join(known)}."
                )
            setattr(self, name, value)
        return self


class ModelLearner(Learner):
    """A method whose result is a symbolic model."""

    _field: Field | None = None

    @property
    def model(self) -> Model:
        """The model that was learned, with numbers for its coefficients."""
        return self.field.model

    @property
    def field(self) -> Field:
        """Its rates as functions of NumPy arrays."""
        self.check_fitted("model")
        assert self._field is not None
        return self._field

    @property
    def D(self) -> int:
        """Number of states."""
        return len(self.model.states)

    def check_fitted(self, what: str) -> None:
        """See `Learner`."""
        if self._field is None:
            raise SolveError(f"{type(self).__name__}.{what}: call fit(data) first.")

    def steps(self, x: FloatArray, h: float, count: int) -> FloatArray:
        """See `Learner`; by the classic method of Runge and Kutta."""
        found = np.empty((count, *x.shape))
        for k in range(count):
            x = self.field.step(x, h)
            x = np.where(np.isfinite(x), x, np.nan)
            found[k] = x
        return found
