"""Error bars in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from symda.types import BoolArray, FloatArray

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

#: States and parameters that are listed.
LISTED = 24
#: Shifts of expected values, in standard deviations, up to which Laplace's approximation is good,
#: and up to which it is rough.
GOOD, POOR = 0.3, 0.5
#: Relative spread of a combination from which on it is named.
WIDE = 1.0


def posterior_text(
    levels: pd.DataFrame,
    parameters: pd.DataFrame,
    directions: pd.DataFrame,
    sd: xr.DataArray,
    rf: FloatArray,
    held: BoolArray,
    notes: Sequence[str],
    nonlinearity: float,
) -> str:
    """Say how well a run knows states and parameters.

    Parameters
    ----------
    levels : DataFrame
        As `PathPosterior.table` has it.
    parameters : DataFrame
        As `PathPosterior.parameters`.
    directions : DataFrame
        Combinations of parameters, as `Posterior.directions`.
    sd : DataArray, dims (time, state)
    rf : (D,)
    held : (M, D) bool
        Values of the path that a bound holds at the heaviest level.
    notes : sequence of str
    nonlinearity : float
        As `PathPosterior.nonlinearity`.
    """
    lines = [_heading(levels, rf)]
    if len(levels) > 1:
        lines += [
            f"  level {row.action:.6g} (path {row.path}): weight {row.weight:.3g}"
            for row in levels.itertuples()
        ]
    for row in parameters[:LISTED].itertuples():
        if row.at_bound:
            lines.append(f"{row.Index} = {row.value:.6g}, on a bound: no error bar")
        else:
            lines.append(
                f"{row.Index} = {row.value:.6g} +- {row.sd:.3g}, 95 %: "
                f"{row.low:.6g} to {row.high:.6g}"
            )
    if len(parameters) > LISTED:
        lines.append(f"and {len(parameters) - LISTED} more parameters")
    for k, name in enumerate(sd["state"].values[:LISTED]):
        lines.append(_state(str(name), sd.values[:, k], held[:, k]))
    if sd.sizes["state"] > LISTED:
        lines.append(f"and {sd.sizes['state'] - LISTED} more states")
    lines += _hardly(directions)
    return "\n".join([*lines, *notes, _trust(nonlinearity)])


def knowledge_lines(
    levels: pd.DataFrame,
    directions: pd.DataFrame,
    information: xr.DataArray | None,
    nonlinearity: float,
) -> list[str]:
    """Say what error bars add to a summary: level weights, what is open, what channels told.

    Parameters
    ----------
    levels, directions, nonlinearity
        As for `posterior_text`.
    information : DataArray, dims (time, channel), or None
        As `PathPosterior.information_by_time`; None where there is no formula.
    """
    lines = []
    if len(levels) > 1:
        shares = (f"{row.weight:.3g} (path {row.path})" for row in levels.itertuples())
        lines.append(f"weights of {len(levels)} levels: {', '.join(shares)}")
    lines += _hardly(directions)
    if information is not None:
        told = [
            f"{name} {np.nansum(values):.3g} in {int(np.isfinite(values).sum())} data"
            for name, values in zip(
                information["channel"].values[:LISTED], information.values.T, strict=False
            )
        ]
        lines.append(f"nats that data tell, given all others, by channel: {', '.join(told)}")
    return [*lines, _trust(nonlinearity)]


def _hardly(directions: pd.DataFrame) -> list[str]:
    """Name combinations of parameters that data hardly determine."""
    lines = []
    spreads = directions["relative_sd"].to_numpy(dtype=float)
    for spread, components in zip(spreads, directions["components"], strict=True):
        if not spread < WIDE:
            much = f", to {spread:.2g} of itself" * bool(np.isfinite(spread))
            lines.append(f"hardly determined{much}: {components}")
    return lines


def _trust(nonlinearity: float) -> str:
    """Say how far the action is a quadratic."""
    much = f"the next order moves expected values by up to {nonlinearity:.2g} sd"
    if np.isnan(nonlinearity):
        return "Laplace's approximation; how good it is was not checked"
    if nonlinearity <= GOOD:
        return f"Laplace's approximation is good: {much}"
    if nonlinearity <= POOR:
        return f"Laplace's approximation is rough: {much}"
    return (
        f"Laplace's approximation is not to be trusted: {much}. The distribution is no Gaussian; "
        "samples (run.sample) and profiles of the parameters (run.profile) say more"
    )


def _heading(levels: pd.DataFrame, rf: FloatArray) -> str:
    count = len(levels)
    what = f"{count} level{'s' * (count > 1)}, the heaviest of action {levels['action'][0]:.6g}"
    if np.isinf(rf).all():
        return f"error bars about {what}; the model is taken as exact"
    known = rf[np.isfinite(rf)]
    low, high = known.min(), known.max()
    size = f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"
    return f"error bars about {what}; errors of the model of precision Rf = {size} a step included"


def _state(name: str, sd: FloatArray, held: BoolArray) -> str:
    if np.isinf(sd).all():
        return f"{name}: not determined, nothing measured depends on it"
    known = sd[np.isfinite(sd)]
    words = (
        f"{name}: sd {np.median(known):.3g} (median), {known.max():.3g} at most"
        if known.size
        else f"{name}: no error bars"
    )
    loose = int(np.isinf(sd).sum())
    words += f", not determined at {loose} of {sd.size} points" * bool(loose)
    return words + f", on a bound at {int(held.sum())} points" * bool(held.any())
