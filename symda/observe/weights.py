"""Factors on the two sums of the action: averaging options and model-error weights."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from symda.checks import choice
from symda.errors import OptionError
from symda.types import FloatArray

Averaging = Literal["sum", "eq2", "eq14", "minaone", "varanneal"]
ErrorForm = Literal["step", "rate"]


def averaging_factors(
    averaging: Averaging, *, N: int, M: int, D: int, L: int, T: int
) -> tuple[float, float]:
    """Factors (c_m, c_f) of an averaging option.

    With them the action is
    A = c_m sum_(t,l) Rm/2 (h_l(x_t) - y_t,l)^2 + c_f sum_(n,a) Rf/2 r_n,a^2.

    Parameters
    ----------
    averaging
        - ``"sum"``: (1, 1), eq. 10 as it stands.
        - ``"eq2"``: (1/L, 1), eq. 2, the measurement sum averaged over channels.
        - ``"eq14"``: (1/L, 2/(D N)), eq. 14 for one data set: Rm/(2 L) and Rf/(D N), without 1/2 on
          the model sum (there D is the width of a layer and N + 1 the number of layers).
        - ``"minaone"``: (2/M, 2/M), no 1/2, both sums divided by the number of grid points.
        - ``"varanneal"``: (2/(L T), 2/(D N)), no 1/2, each sum divided by its number of terms.
    N, M, D, L, T
        Steps, grid points, states, channels, observation times.

    Returns
    -------
    tuple of float
        (c_m, c_f).

    Raises
    ------
    OptionError
        An unknown option.
    """
    choice(averaging, "averaging", get_args(Averaging))
    match averaging:
        case "sum":
            return 1.0, 1.0
        case "eq2":
            return 1.0 / L, 1.0
        case "eq14":
            return 1.0 / L, 2.0 / (D * N)
        case "minaone":
            return 2.0 / M, 2.0 / M
        case "varanneal":
            return 2.0 / (L * T), 2.0 / (D * N)


def step_weights(
    model_error: ErrorForm, c_f: float, h: FloatArray, *, discrete: bool
) -> FloatArray:
    """Weights (N,): Rf of step n is rf * weight[n].

    Parameters
    ----------
    model_error
        ``"step"``: c_f, Rf weighs the squared residual of one step; ``"rate"``: c_f / h_n, Rf is
        the inverse intensity of a white noise, so its meaning does not change with h.
    c_f
        Factor of the averaging option.
    h : (N,)
        Step sizes.
    discrete
        Whether the model is a map.

    Raises
    ------
    OptionError
        An unknown option, or ``"rate"`` for a map.
    """
    choice(model_error, "model_error", get_args(ErrorForm))
    if model_error == "step":
        return np.full(h.shape, c_f)
    if discrete:
        raise OptionError(
            "model_error='rate' needs a continuous time, and this model is a discrete map. "
            "Use model_error='step'."
        )
    return c_f / h
