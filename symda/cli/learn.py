"""`symda learn`: equations found in a file of data."""

from __future__ import annotations

from pathlib import Path

from symda.cli.console import say
from symda.cli.files import NETCDF, SEPARATORS
from symda.observe import Observations


def learn(
    file: Path,
    degree: int,
    *,
    states: str | None,
    time: str | None,
    variance: float | None,
    step: float | None,
    starts: int,
    separator: str,
    figure: Path | None,
) -> None:
    """Learn from a file, print the equations and what they are worth.

    Raises
    ------
    InputError
        Whatever reading and learning refuse.
    """
    from symda.learn import AnnealedTerms

    names = None if states is None else [one.strip() for one in states.split(",")]
    if file.suffix.lower() in NETCDF:
        data = Observations.from_netcdf(file, time, names)
    else:
        data = Observations.from_csv(
            file, time, names, separator=SEPARATORS.get(separator, separator)
        )
    fit = AnnealedTerms(degree=degree, variance=variance, step=step, starts=starts).fit(data)
    say(fit.summary(), verbatim=True)
    say("")
    say(fit.terms.to_string(index=False, float_format="{:.4g}".format), verbatim=True)
    if len(fit.alternatives):
        say("\nother sets of terms, and how much less likely they are (logarithm):")
        best = fit.alternatives.head(5)
        say(best.to_string(index=False, float_format="{:.2f}".format), verbatim=True)
    if figure is not None:
        fit.plot(figure)
        say(f"\nwrote {figure}")
