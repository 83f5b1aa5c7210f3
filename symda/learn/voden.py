"""`VODEN`: states by a recurrent network and rates by the error of their steps, in turn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from symda.checks import integer, number, package, share
from symda.declare.numbers import in_units, with_numbers
from symda.errors import DataError, SolveError
from symda.learn.candidates import chosen_field, filled
from symda.learn.field import Field
from symda.learn.learner import ModelLearner
from symda.learn.points import make_points
from symda.learn.series import Series
from symda.learn.smooth import Smooth
from symda.learn.training import AlternatingFit, TrainingOptions
from symda.types import BoolArray, FloatArray


class _Inferred(ModelLearner):
    """What `fit` leaves, which is no option."""

    parameters: dict[str, float]
    losses: FloatArray
    times: FloatArray
    path: FloatArray


@dataclass
class VODEN(_Inferred):
    """Variational ordinary differential equation networks: VODEN.

    States mu are what a recurrent network makes of the data, in which gaps are filled linearly. In
    turn the weights of that network lower

        data_weight mean |y - mu|^2 + mean |mu_k+1 - f(mu_k)|^2,

    where what was not measured counts 0 (E-step), and the parameters of the rates, by which f steps
    with the classic method of Runge and Kutta, lower the second mean (M-step). Data have mean 0 and
    standard deviation 1. Needs PyTorch: ``pip install 'symda[learn]'``.

    Attributes
    ----------
    form : str
        ``"bilinear"`` for the network `bilinear`, with as many units of each kind as states, or
        ``"library"`` for all monomials of the states.
    degree : int
        Of the monomials.
    data_weight : float
        lambda of the paper.
    loss_steps : int
        Steps of the longest forecast that the second mean is over.
    size, layers, hidden : int
        Of the bidirectional network of long short-term memory (LSTM): units of each direction and
        layers; and units of the one hidden layer of the encoder before it and the decoder behind.
    window : int
        Times of a sequence.
    batch : int
        Sequences of a step of the minimiser.
    epochs : int
        Passes through all sequences.
    e_steps, m_steps : int
        Steps of each minimiser for each batch: neither minimises to the end.
    rate, decay, decay_epochs
        Of the minimiser RMSprop: its rate of learning, and the factor of it after so many epochs.
    seed : int
        Of first weights and the order of sequences.

    Notes
    -----
    After `fit`, `path` (M, D) are the states mu at `times` (M,), recording after recording;
    `parameters` are values of the fitted field's parameters, and `losses` (epochs, 2) the means of
    both losses in each epoch.

    D. Nguyen, S. Ouala, L. Drumetz and R. Fablet, EM-like learning chaotic dynamics from noisy and
    partial observations, arXiv:1903.10335, section 3.2 and algorithm 2; sizes and lambda are its
    own. Its numbers of steps, rate and length of sequences are not known; those here are of a
    later paper of the group.
    """

    form: str = "bilinear"
    degree: int = 2
    data_weight: float = 0.1
    loss_steps: int = 1
    size: int = 9
    layers: int = 2
    hidden: int = 7
    window: int = 150
    batch: int = 4
    epochs: int = 1000
    e_steps: int = 1
    m_steps: int = 1
    rate: float = 1e-3
    decay: float = 0.1
    decay_epochs: int = 500
    seed: int = 0

    name = "VODEN"

    def learn(self, series: Sequence[Series], names: Sequence[str], where: str) -> None:
        """See `Learner.fit`."""
        torch = package("torch", where, "learn")
        options = self._options(where)
        epochs = integer(self.epochs, f"{where}: epochs")
        seed = integer(self.seed, f"{where}: seed", least=0)
        model = chosen_field(self.form, None, self.degree, names, where)[0]
        D = len(names)
        points = make_points(series, np.ones(D), None, where)
        _, rates = Smooth.of(series, points).path()
        runs = [_Run.of(one, names, where) for one in series]
        values = np.concatenate([run.values for run in runs])
        centre, size = values.mean(axis=0), values.std(axis=0)
        time = 1.0 / float(np.sqrt(np.mean((rates / size) ** 2)))
        windows = _windows(runs, self.window, options.loss_steps, where)
        y, w, h = (
            np.stack([getattr(runs[k], what)[first:last] for k, first, last in windows])
            for what in ("values", "seen", "steps")
        )
        with _settled(torch, seed):
            training = AlternatingFit(model, (y - centre) / size, w, h / time, options, seed)
            self.losses = np.array([training.epoch() for _ in range(epochs)])
            mu, theta = training.states() * size + centre, training.parameters()
        if not (np.isfinite(self.losses).all() and np.isfinite(theta).all()):
            raise SolveError(f"{where}: the losses are not finite; pass a smaller rate.")
        self.times = np.concatenate([run.times for run in runs])
        begins = np.cumsum([0, *(len(run.times) for run in runs)])
        self.path = np.empty((begins[-1], D))
        for (k, first, last), one in zip(windows, mu, strict=True):
            self.path[begins[k] + first : begins[k] + last] = one
        self.parameters = dict(zip((p.name for p in model.parameters), theta.tolist(), strict=True))
        found = with_numbers(model, self.parameters)
        self._field = Field(in_units(found, centre.tolist(), size.tolist(), time, expand=True))

    def _options(self, where: str) -> TrainingOptions:
        whole = {
            name: integer(getattr(self, name), f"{where}: {name}")
            for name in (
                *("loss_steps", "size", "layers", "hidden", "batch", "e_steps", "m_steps"),
                "decay_epochs",
            )
        }
        integer(self.window, f"{where}: window", least=3)
        return TrainingOptions(
            **whole,
            data_weight=number(self.data_weight, f"{where}: data_weight", kind="positive"),
            rate=number(self.rate, f"{where}: rate", kind="positive"),
            decay=share(self.decay, f"{where}: decay", closed=True),
        )


@dataclass(frozen=True, eq=False)
class _Run:
    """A recording without gaps: times (M,), values and where they were measured (M, D), steps."""

    times: FloatArray
    values: FloatArray
    seen: BoolArray
    steps: FloatArray

    @classmethod
    def of(cls, one: Series, names: Sequence[str], where: str) -> _Run:
        times, values = filled(one, names, where)
        kept = np.searchsorted(one.times, times)
        seen = np.isfinite(one.values[kept])
        return cls(times, values, seen, np.append(np.diff(times), 0.0))


def _windows(
    runs: Sequence[_Run], window: int, loss_steps: int, where: str
) -> list[tuple[int, int, int]]:
    """Return sequences of the same length: number of the recording, first and last point."""
    length = min(window, *(len(run.times) for run in runs))
    if length < loss_steps + 2:
        raise DataError(
            f"{where}: sequences of {length} times are too short for forecasts of {loss_steps} "
            "steps; pass a longer window, longer recordings or fewer loss_steps."
        )
    found = []
    for k, run in enumerate(runs):
        M = len(run.times)
        firsts = [*range(0, M - length, length), M - length]
        found += [(k, first, first + length) for first in firsts]
    return found


@contextmanager
def _settled(torch: ModuleType, seed: int) -> Iterator[None]:
    """Draw by a seed of our own, on one thread, and leave PyTorch's state as it was."""
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
