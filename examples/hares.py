"""Hares and lynxes: equations learned from twenty-one years of pelts.

Pelts that the Hudson's Bay Company bought from 1900 to 1920, in thousands, as printed by
E. P. Odum (Fundamentals of Ecology, 1953); they are in the public domain. Candidates are all
monomials of both numbers up to degree 2 without a constant, since nothing comes of nothing. The
noise is not known; it is estimated. What is found are the equations of Lotka and Volterra.
"""

import argparse
from pathlib import Path

import numpy as np

import symda as sd

YEARS = np.arange(1900.0, 1921.0)
HARES = [
    *(30.0, 47.2, 70.2, 77.4, 36.3, 20.6, 18.1, 21.4, 22.0, 25.4, 27.1),
    *(40.3, 57.0, 76.6, 52.3, 19.5, 11.2, 7.6, 14.6, 16.2, 24.7),
]
LYNXES = [
    *(4.0, 6.1, 9.8, 35.2, 59.4, 41.7, 19.0, 13.0, 8.3, 9.1, 7.4),
    *(8.0, 12.3, 19.5, 45.7, 51.1, 29.7, 15.8, 9.7, 10.1, 8.6),
]


def learned() -> sd.learn.AnnealedTerms:
    """Learn both rates at once."""
    hare, lynx = sd.states("hare lynx")
    library = sd.learn.library([hare, lynx], degree=2, constant=False)
    return sd.learn.AnnealedTerms(library=library).fit(np.column_stack([HARES, LYNXES]), t=YEARS)


def main(folder: Path) -> None:
    """Print the equations, the evidence for each term and against others, and draw the path."""
    fit = learned()
    print(fit.summary())
    print(fit.terms.to_string(index=False))
    print("\nother sets of terms, and how much less likely they are (logarithm):")
    print(fit.alternatives.head(4).to_string(index=False))
    fit.plot(folder / "hares.png")
    kept = {(s, t) for s, t in fit.terms[["state", "term"]].itertuples(index=False)}
    lotka_volterra = {("hare", "hare"), ("lynx", "lynx")}
    assert kept == lotka_volterra | {("hare", "hare*lynx"), ("lynx", "hare*lynx")}
    # ten years on from the first, by the equations alone
    forecast = fit.predict([HARES[0], LYNXES[0]], np.arange(0.0, 10.01, 0.05))
    print(
        f"\nhares in 1910 by the equations alone: {forecast[-1, 0]:.0f} thousand, not {HARES[10]}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Equations learned from pelts.")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the figure")
    main(parser.parse_args().out)
