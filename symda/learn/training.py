"""The two minimisations of `VODEN`, with PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from symda.checks import package
from symda.declare.model import Model
from symda.learn.torch_rates import Tensor, torch_rates, torch_step
from symda.types import BoolArray, FloatArray

#: Standard deviation of the first parameters of the rates.
WEIGHT = 0.3


@dataclass(frozen=True)
class TrainingOptions:
    """Options of `VODEN`, checked; its docstring says what they are."""

    loss_steps: int
    size: int
    layers: int
    hidden: int
    batch: int
    e_steps: int
    m_steps: int
    decay_epochs: int
    data_weight: float
    rate: float
    decay: float


class AlternatingFit:
    """Weights of the network that makes states of data, and parameters of rates.

    Parameters
    ----------
    model : Model
        Rates with P parameters.
    y, seen : (S, L, D)
        Sequences of data, and which of them were measured.
    h : (S, L)
        The step to the next time.
    """

    def __init__(
        self,
        model: Model,
        y: FloatArray,
        seen: BoolArray,
        h: FloatArray,
        options: TrainingOptions,
        seed: int,
    ) -> None:
        torch = self._torch = package("torch", "VODEN.fit", "learn")
        self._options, self._rates = options, torch_rates(model)
        self._y, self._h = torch.tensor(y), torch.tensor(h)
        self._seen = torch.tensor(seen.astype(np.float64))
        self._random = np.random.default_rng(seed)
        first = WEIGHT * self._random.normal(size=len(model.parameters))
        self._theta = torch.tensor(first, requires_grad=True)
        D, n = y.shape[2], options.size
        self._encoder = _one_layer(torch, D, options.hidden, n)
        self._memory = torch.nn.LSTM(
            n, n, options.layers, batch_first=True, bidirectional=True, dtype=torch.float64
        )
        self._decoder = _one_layer(torch, 2 * n, options.hidden, D)
        parts = (self._encoder, self._memory, self._decoder)
        weights = [weight for part in parts for weight in part.parameters()]
        self._minimisers = [
            torch.optim.RMSprop(some, lr=options.rate) for some in (weights, [self._theta])
        ]
        self._schedules = [
            torch.optim.lr_scheduler.StepLR(one, options.decay_epochs, options.decay)
            for one in self._minimisers
        ]

    def epoch(self) -> tuple[float, float]:
        """Pass through all sequences once; return the means of both losses."""
        losses = []
        for some in self._batches():
            y, seen, h = self._y[some], self._seen[some], self._h[some]
            infer, learn = self._minimisers
            for _ in range(self._options.e_steps):
                mu = self._infer(y)
                data = (seen * (y - mu) ** 2).mean()
                e_loss = self._options.data_weight * data + self._steps_loss(mu, h)
                infer.zero_grad()
                e_loss.backward()
                infer.step()
            with self._torch.no_grad():
                mu = self._infer(y)
            for _ in range(self._options.m_steps):
                m_loss = self._steps_loss(mu, h)
                learn.zero_grad()
                m_loss.backward()
                learn.step()
            losses.append((e_loss.item(), m_loss.item()))
        for one in self._schedules:
            one.step()
        found = np.mean(losses, axis=0)
        return float(found[0]), float(found[1])

    def states(self) -> FloatArray:
        """Return mu (S, L, D)."""
        with self._torch.no_grad():
            found: FloatArray = self._infer(self._y).numpy()
        return found

    def parameters(self) -> FloatArray:
        """Return those of the rates, (P,)."""
        found: FloatArray = self._theta.detach().numpy().copy()
        return found

    def _batches(self) -> Iterator[Tensor]:
        order = self._random.permutation(len(self._y))
        for first in range(0, order.size, self._options.batch):
            yield self._torch.from_numpy(order[first : first + self._options.batch])

    def _infer(self, y: Tensor) -> Tensor:
        return self._decoder(self._memory(self._encoder(y))[0])

    def _steps_loss(self, mu: Tensor, h: Tensor) -> Tensor:
        """Mean square of the errors of forecasts of 1 to `loss_steps` steps."""
        later, total = mu, 0.0
        S = self._options.loss_steps
        for s in range(1, S + 1):
            later = torch_step(self._rates, later[:, :-1], self._theta, h[:, s - 1 : -1])
            total = total + ((mu[:, s:] - later) ** 2).mean()
        return total / S


def _one_layer(torch: ModuleType, inputs: int, hidden: int, outputs: int) -> Tensor:
    nn, kind = torch.nn, torch.float64
    first = nn.Linear(inputs, hidden, dtype=kind)
    return nn.Sequential(first, nn.Tanh(), nn.Linear(hidden, outputs, dtype=kind))
