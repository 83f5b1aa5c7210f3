"""Samples in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from symda.types import FloatArray

if TYPE_CHECKING:
    import pandas as pd

#: Parameters that are listed.
LISTED = 24
#: Ways to sample, in words.
WORDS = {
    "rto": "importance draws (randomise, then optimise)",
    "hmc": "chains (split Hamiltonian Monte Carlo)",
}


def samples_text(
    levels: pd.DataFrame,
    parameters: pd.DataFrame,
    determined: bool,
    notes: Sequence[str],
    away: float,
    rf: FloatArray,
) -> str:
    """Say what was drawn, and how well it holds.

    Parameters
    ----------
    levels : DataFrame
        As `PathSamples.levels`.
    parameters : DataFrame
        As `PathSamples.parameters`.
    determined : bool
    notes : sequence of str
    away : float
        Largest difference of an expected value from the heaviest path's, in standard deviations.
    rf : (D,)
    """
    known = rf[np.isfinite(rf)]
    about = "solutions of the equations"
    if known.size:
        low, high = known.min(), known.max()
        about = f"Rf = {low:.6g}" + (f" to {high:.6g}" if high > low else "")
    heading = f"Samples of exp(-A), {about}: {int(levels['draws'].sum())} draws"
    lines = [heading if determined else f"{heading}. NOT DETERMINED: they do not agree"]
    for row in levels.itertuples():
        weight = f", weight {row.weight:.3g}" if len(levels) > 1 else ""
        lines.append(f"  path {row.paths}{weight}: {WORDS[str(row.method)]}, {_numbers(row)}")
    if determined:
        lines += [
            f"  {row.Index} = {row.value:.6g} +- {row.sd:.2g} (95 %: {row.low:.6g} to "
            f"{row.high:.6g}; error of the mean {row.mcse:.1g})"
            for row in parameters[:LISTED].itertuples()
        ]
        if len(parameters) > LISTED:
            lines.append(f"  and {len(parameters) - LISTED} more in .parameters")
        lines.append(
            f"expected values lie up to {away:.2g} standard deviations from the lowest action's"
        )
    return "\n".join([*lines, *notes])


def _numbers(row: object) -> str:
    found = [f"{getattr(row, 'effective', 0.0):.0f} effective"]
    for name, words in (
        ("spread", "log weights vary by {:.2g}"),
        ("shape", "shape of their tail {:.2g}"),
        ("failed", "{:.0%} led nowhere"),
        ("reached", "{:.0%} of the chains' places reached"),
        ("r_hat", "R-hat {:.3f}"),
    ):
        value = getattr(row, name, np.nan)
        if np.isfinite(value) and not (name == "failed" and value == 0.0):
            found.append(words.format(value))
    return ", ".join(found)
