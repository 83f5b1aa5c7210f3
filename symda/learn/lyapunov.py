"""Lyapunov exponents of a model, by the slopes of its step map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from symda.checks import integer, number
from symda.declare.model import Model
from symda.errors import DataError, OptionError
from symda.learn.field import Field
from symda.types import FloatArray


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Lyapunov exponents, averages over many starts.

    Attributes
    ----------
    exponents : (D,)
        The largest first, per unit of time; nan if every start diverged.
    errors : (D,)
        Standard errors over starts; nan if there are fewer than two.
    by_start : (K, D)
        Those of each start; nan where it diverged.
    diverged : int
        How many did, which the averages leave out.
    """

    exponents: FloatArray
    errors: FloatArray
    by_start: FloatArray
    diverged: int


def lyapunov_spectrum(
    model: Model | Field,
    starts: ArrayLike,
    h: float,
    steps: int = 4000,
    *,
    spin_up: int = 500,
    every: int = 5,
) -> Spectrum:
    """Estimate all Lyapunov exponents of a model.

    Slopes of steps of the classic method of Runge and Kutta carry D directions along, which are
    made orthogonal again by QR (Benettin et al., Meccanica 15 (1980) 9). Since one run of a few
    thousand steps tells an exponent by its own scatter only, many starts are averaged.

    Parameters
    ----------
    model : Model
        Without parameters; see `with_numbers`.
    starts : (K, D) or (D,)
        States on or near the attractor.
    h : float
        Length of a step, in units of time.
    steps : int
        Steps whose growth is counted.
    spin_up : int
        Steps before, up to a multiple of `every`: states reach the attractor, directions those that
        grow fastest.
    every : int
        Steps between two times that directions are made orthogonal.

    Returns
    -------
    Spectrum

    Raises
    ------
    DataError
        If `starts` have another shape, or are not finite.
    ModelError
        If the model has parameters, forcing or time, or is a map.
    OptionError
        If a number is none that is expected.
    """
    where = "lyapunov_spectrum"
    field = model if isinstance(model, Field) else Field(model)
    h = number(h, f"{where}: h", kind="positive")
    every = integer(every, f"{where}: every")
    steps = integer(steps, f"{where}: steps", least=every)
    spin_up = integer(spin_up, f"{where}: spin_up", least=0)
    D = len(field.model.states)
    x = np.atleast_2d(np.asarray(starts, dtype=np.float64))
    if x.ndim != 2 or x.shape[1] != D or not len(x):
        raise DataError(f"{where}: starts must be (K, {D}), got {np.shape(starts)}.")
    if not np.isfinite(x).all():
        raise DataError(f"{where}: starts must be finite; leave out gaps.")
    if steps % every:
        raise OptionError(f"{where}: steps must be a multiple of every, {every}, got {steps}.")
    K = len(x)
    Q = np.broadcast_to(np.eye(D), (K, D, D))
    total = np.zeros((K, D))
    alive = np.ones(K, dtype=bool)
    before = -(-spin_up // every)
    for k in range(before + steps // every):
        for _ in range(every):
            x, slopes = field.tangent(x, h)
            # what is not finite stays behind, and does not come into LAPACK
            alive &= np.isfinite(x).all(axis=1) & np.isfinite(slopes).all(axis=(1, 2))
            x = np.where(alive[:, None], x, 0.0)
            with np.errstate(all="ignore"):
                Q = np.where(alive[:, None, None], slopes @ Q, np.eye(D))
        Q, R = np.linalg.qr(Q)
        if k >= before:
            with np.errstate(divide="ignore"):
                total += np.log(np.abs(np.diagonal(R, axis1=1, axis2=2)))
    by_start = np.where(alive[:, None], total / (steps * h), np.nan)
    left = by_start[alive]
    nothing = np.full(D, np.nan)
    return Spectrum(
        left.mean(axis=0) if len(left) else nothing,
        left.std(axis=0, ddof=1) / np.sqrt(len(left)) if len(left) > 1 else nothing,
        by_start,
        int(K - len(left)),
    )
