"""VA-3 to VA-7: layered networks, figures 3 to 6 of Abarbanel, Rozdeba and Shirman (2017).

Ten neurons a layer, eq. 13, inputs N(0, 1), noise of variance 0.0025 on inputs and outputs, action
eq. 14, Rf/Rm from 1e-8 to 1e8. The paper's weights, uniform in [-0.1, 0.1], carry nothing from
input to output: each layer multiplies a signal by about 0.05, so that behind 20 layers it is 1e-16.
Of 1,900 weight directions the data determine 10, all in the last layer, and whatever the level, the
prediction is that of a constant. Levels of such networks, and gaps between them, say how noise was
fitted. So every figure is made twice: as in the paper, and for weights that keep a signal alive
(orthogonal, gain 4.4, the mean of the activities taken out), with a prior around other weights
of that kind.

The ladder has factor 10 where the paper's has 1.1: the same levels in fewer rungs. `--starts` is
the number of starts of each panel, five unless said; the paper shows 100.
"""

from __future__ import annotations

import argparse
import time
import warnings
from dataclasses import dataclass
from functools import cache

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import symda as sd

N, VARIANCE, NEW = 10, 0.0025, 1000
LADDER = sd.Ladder(rf0=1e-8 / VARIANCE, alpha=10.0, rungs=17)
SD = 0.2  # of the informative prior


def orthogonal(rng: np.random.Generator, layers: int, gain: float) -> list[np.ndarray]:
    """Weights that keep a signal alive; the first layer's inputs have no mean."""
    made = []
    for step in range(layers - 1):
        q, r = np.linalg.qr(rng.normal(size=(N, N)))
        q *= np.sign(np.diag(r))
        made.append(gain * (q - q.mean(axis=1, keepdims=True)) if step else q)
    return made


@dataclass(frozen=True)
class Twin:
    """A network, what was measured of it, and new pairs."""

    action: sd.Action
    pairs: sd.Pairs
    new: sd.Pairs
    truth: list[np.ndarray]


def twin(layers: int, L: int, M: int, *, informative: bool, activation: str = "logistic") -> Twin:
    """Make the paper's twin, or one whose weights carry a signal."""
    rng = np.random.default_rng(0)
    prior = None if L == N else sd.Normal(0.0, 1.0)
    net = sd.Model.layered([N] * layers, activation=activation, input_prior=prior)
    if informative:
        truth = orthogonal(rng, layers, 4.4)
        net = net.around(orthogonal(np.random.default_rng(100), layers, 4.0), SD)
    else:
        truth = [rng.uniform(-0.1, 0.1, (N, N)) for _ in range(layers - 1)]
    action = sd.Action(net)
    x = rng.normal(size=(M + NEW, N))
    y = action.outputs(truth, x)
    x, y = (one + np.sqrt(VARIANCE) * rng.normal(size=one.shape) for one in (x, y))
    pairs = sd.Pairs(x[:M, :L], y[:M, :L], variance=VARIANCE)
    return Twin(action, pairs, sd.Pairs(x[M:, :L], y[M:, :L], variance=VARIANCE), truth)


@cache
def fitted(
    layers: int, L: int, M: int, starts: int, informative: bool
) -> tuple[Twin, sd.NetworkRun]:
    """Anneal a case; figures share some of them."""
    made = twin(layers, L, M, informative=informative)
    return made, annealed(made, starts)


def annealed(made: Twin, starts: int) -> sd.NetworkRun:
    """Anneal from the paper's starts, on the paper's ladder."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they say is said here
        return sd.anneal(
            made.action,
            made.pairs,
            paths=starts,
            start=None if made.action.network.prior[0] is not None else "uniform",
            ladder=LADDER,
        )


def errors_on_the_way(run: sd.NetworkRun, new: sd.Pairs, path: int) -> list[float]:
    """Prediction errors of a path at each rung, eq. 15."""
    found = []
    for beta in range(run.dataset.sizes["beta"]):
        predicted = run.at(path, beta).predict(new.inputs)
        found.append(float(((predicted - new.outputs) ** 2).mean()))
    return found


def panels(
    name: str, cases: dict[str, tuple[int, int, int]], starts: int, *, informative: bool
) -> dict[str, tuple[Twin, sd.NetworkRun]]:
    """Anneal each case (layers, L, M), draw its levels, and print what they are worth."""
    figure = Figure(figsize=(4.6 * len(cases), 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    done = {}
    for ax, (title, (layers, L, M)) in zip(
        np.atleast_1d(figure.subplots(1, len(cases))), cases.items(), strict=True
    ):
        began = time.perf_counter()
        made, run = fitted(layers, L, M, starts, informative)
        run.plot_levels(ax=ax)
        ax.set_title(f"{title}, {starts} starts", fontsize=9)
        done[title] = (made, run)
        errors = run.prediction_errors(made.new)
        table = run.table()
        print(f"{name} {title}: levels {table['level'].iloc[0]:.4g}", end=" ")
        print(
            f"({len(table)} levels of {run.reached} paths), "
            f"constant {run.dataset.attrs['constant']:.4g},"
        )
        print(f"    determined {run.determined:.1f}, {time.perf_counter() - began:.1f} s")
        print("    " + "; ".join(f"{k} {v:.5f}" for k, v in errors["error"].items()), flush=True)
    figure.savefig(f"{name}{'-informative' if informative else ''}.png", dpi=110)
    return done


def prediction_figure(name: str, done: dict[str, tuple[Twin, sd.NetworkRun]]) -> None:
    """Draw the prediction error against Rf of the lowest and the second lowest level: figure 6."""
    figure = Figure(figsize=(9.2, 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    for ax, place in zip(figure.subplots(1, 2), (0, 1), strict=True):
        for title, (made, run) in done.items():
            table = run.table()
            if len(table) <= place:
                continue
            errors = errors_on_the_way(run, made.new, int(table["path"].iloc[place]))
            ax.loglog(run.dataset["rf"].values, errors, marker=".", label=title)
        ax.set_xlabel("$R_f$")
        ax.set_ylabel("prediction error, eq. 15")
        ax.set_title(("lowest", "second lowest")[place] + " level", fontsize=9)
        ax.legend(fontsize=8)
    figure.savefig(f"{name}.png", dpi=110)


def main() -> None:
    """Make the figures, and check what is claimed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starts", type=int, default=5)
    starts = parser.parse_args().starts

    small = twin(20, N, 100, informative=False)
    wide = sd.Action(small.action.network.around(small.truth, 1.0))
    count = wide.determined(small.pairs, small.truth)
    print(f"the paper's weights, lF = 20: data determine {count:.1f} of 1900 directions")
    assert 9.0 < count < 11.0

    deep = {f"lF = {lF}": (lF, N, 100) for lF in (20, 30, 50, 100)}
    many = {f"L = {L}": (50, L, 100) for L in (1, 5, 10)}
    pairs = {f"M = {M}": (50, N, M) for M in (1, 10, 100)}
    for informative in (False, True):
        kind = "-informative" if informative else ""
        by_depth = panels("va3", deep, starts, informative=informative)
        by_L = panels("va4", many, starts, informative=informative)
        by_M = panels("va5", pairs, starts, informative=informative)
        prediction_figure(f"va6{kind}", {**by_L, **by_M})
        for title, (made, run) in by_depth.items():
            errors = run.prediction_errors(made.new)["error"]
            share = errors["lowest level"] / errors["constant"]
            print(f"{title}{kind}: error over the constant's {share:.4f}")
            if informative and title in ("lF = 20", "lF = 50"):
                assert share < 0.5, "the informative twin is learned"
            elif not informative:
                assert share > 0.95, "nothing is learned of the paper's twin"

        if informative:
            errors = [
                one.prediction_errors(twin_.new)["error"]["lowest level"]
                for twin_, one in (by_M["M = 10"], by_M["M = 100"])
            ]
            assert errors[1] < errors[0], "the error falls with the number of pairs"

    soft = twin(20, N, 100, informative=False, activation="softplus")
    run = annealed(soft, min(starts, 5))
    run.plot_levels("va7.png")
    print("va7, softplus:\n" + run.summary())


if __name__ == "__main__":
    main()
