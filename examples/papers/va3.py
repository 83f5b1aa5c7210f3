"""VA-3 to VA-7: layered networks, figures 3 to 6 of Abarbanel, Rozdeba and Shirman (2017).

Ten neurons a layer, eq. 13, inputs N(0, 1), noise of variance 0.0025 on inputs and outputs, action
eq. 14, Rf/Rm from 1e-8 to 1e8. The paper's weights, uniform in [-0.1, 0.1], carry nothing from
input to output: each layer multiplies a signal by about 0.05, so that behind 20 layers it is 1e-16.
Of 1,900 weight directions the data determine 10, all in the last layer, and whatever the level, the
prediction is that of a constant. Weights without a prior grow without end, up to 1e6, and what they
multiply are errors of the equations, however small: these meet the data. Levels of such networks,
and gaps between them, say how. With the equations exact, the black line, the same weights have the
constant's level. So every figure is made twice: as in the paper, and for weights that keep a signal
alive (orthogonal, gain 4.4, the mean of the activities taken out), with a prior around other
weights of that kind.

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
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import symda as sd

N, VARIANCE, NEW = 10, 0.0025, 1000
LADDER = sd.Ladder(rf0=1e-8 / VARIANCE, alpha=10.0, rungs=17)
SD = 0.2  # of the informative prior
SHOWN = 1e-14, 1e2  # levels in the figures


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
    """Prediction errors of a path at each rung, eq. 15; nan where it was not."""
    found = [np.nan] * run.dataset.sizes["beta"]
    for beta in np.flatnonzero(np.isfinite(run.levels.values[path])):
        predicted = run.at(path, beta).predict(new.inputs)
        found[beta] = float(((predicted - new.outputs) ** 2).mean())
    return found


def exact(made: Twin, run: sd.NetworkRun, path: int) -> list[float]:
    """Levels of a path's weights at each rung, the equations exact and inputs as measured."""
    weights = run.dataset["weights"].values[path]
    return [
        made.action.backpropagate(made.pairs, one).loss if np.isfinite(one).all() else np.nan
        for one in weights
    ]


def draw(ax: Axes, title: str, made: Twin, run: sd.NetworkRun) -> None:
    """Draw levels, and what the lowest path's weights give with the equations exact."""
    run.plot_levels(ax=ax)
    levels = exact(made, run, run.order[0])
    ax.plot(run.dataset["rf"], levels, "k:", lw=1.4, label="lowest path, equations exact")
    ax.set_title(title, fontsize=9)
    ax.set_xlabel(f"$R_f$ ($R_m$ = {1.0 / VARIANCE:g})")
    ax.set_ylim(*SHOWN)
    constant = run.dataset.attrs["constant"]
    if constant < SHOWN[0]:
        below = "paths and constant" if run.best.action < SHOWN[0] else "the constant"
        ax.text(0.5, 0.04, f"{below}: 0 to rounding", transform=ax.transAxes, ha="center", size=8)
    ax.get_legend().remove()


def panels(
    name: str, cases: dict[str, tuple[int, int, int]], starts: int, *, informative: bool
) -> dict[str, tuple[Twin, sd.NetworkRun]]:
    """Anneal each case (layers, L, M), draw its levels, and print what they are worth."""
    figure = Figure(figsize=(3.6 * len(cases), 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(cases), sharey=True)
    done = {}
    for ax, (title, (layers, L, M)) in zip(axes, cases.items(), strict=True):
        began = time.process_time()
        made, run = fitted(layers, L, M, starts, informative)
        seconds = time.process_time() - began
        draw(ax, f"lF = {layers}, L = {L}, M = {M}", made, run)
        done[title] = (made, run)
        table, best = run.table(), run.best
        print(
            f"{name} {title}: level {best.action:.4g} ({len(table)} levels of {run.reached} paths),"
            f" of it errors of the equations {best.model_term / best.action:.0%}, with exact "
            f"equations {exact(made, run, run.order[0])[-1]:.4g},\n    constant "
            f"{run.dataset.attrs['constant']:.4g}, largest weight {abs(best.vector).max():.3g}, "
            f"determined {run.determined:.1f}, {seconds:.1f} s of a core"
        )
        errors = run.prediction_errors(made.new)["error"]
        print("    " + "; ".join(f"{k} {v:.5f}" for k, v in errors.items()), flush=True)
    for ax in axes[1:]:
        ax.set_ylabel("")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=8)
    figure.savefig(f"{name}{'-informative' if informative else ''}.png", dpi=110)
    return done


def prediction_figure(name: str, done: dict[str, tuple[Twin, sd.NetworkRun]]) -> None:
    """Draw the prediction error against Rf of the lowest and the second lowest level: figure 6.

    Where no case has a second level there is one panel.
    """
    tables = {title: run.table() for title, (_, run) in done.items()}
    places = min(2, max(map(len, tables.values())))
    figure = Figure(figsize=(4.6 * places + 0.6, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, places, sharey=True, squeeze=False)[0]
    for place, ax in enumerate(axes):
        ax.axhline(VARIANCE, color="k", lw=0.8, label="noise")
        for number, (title, (made, run)) in enumerate(done.items()):
            if len(tables[title]) <= place:
                continue
            errors = errors_on_the_way(run, made.new, int(tables[title]["path"].iloc[place]))
            # later lines lie above earlier ones and are thinner, so that both are seen
            style = {"color": f"C{number}", "lw": 3.5 - 0.7 * number, "marker": "osDv^"[number]}
            ax.loglog(run.dataset["rf"], errors, ms=4, label=title, **style)
            constant = run.prediction_errors(made.new)["error"]["constant"]
            ax.axhline(constant, color=f"C{number}", ls="--", lw=0.8)
        ax.plot([], [], color="0.5", ls="--", lw=0.8, label="constant, same colour")
        ax.set_xlabel(f"$R_f$ ($R_m$ = {1.0 / VARIANCE:g})")
        ax.set_title(("lowest", "second lowest")[place] + " level", fontsize=9)
    single = [title for title, table in tables.items() if len(table) == 1]
    if places == 1:
        axes[0].set_title("the only level", fontsize=9)
    elif single:
        axes[1].set_title(f"second lowest level (none: {'; '.join(single)})", fontsize=9)
    axes[0].set_ylabel("prediction error, eq. 15")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2 * places, fontsize=8)
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
    many = {f"L = {L}, M = 100": (50, L, 100) for L in (1, 5, 10)}
    pairs = {f"L = 10, M = {M}": (50, N, M) for M in (1, 10, 100)}
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
            if informative:
                assert len(run.table()) == 1, "all starts end in one level"
                assert share < 0.5 or title == "lF = 100", "the informative twin is learned"
            else:
                assert share > 0.95, "nothing is learned of the paper's twin"
                level = exact(made, run, run.order[0])[-1]
                assert level > 0.95 * run.dataset.attrs["constant"], "errors meet the data"

        if informative:
            for cases, what in ((by_L, "measured components"), (by_M, "pairs")):
                errors = [
                    run.prediction_errors(made.new)["error"]["lowest level"]
                    for made, run in cases.values()
                ]
                assert errors[0] > errors[1] > errors[2], f"the error falls with {what}"

    soft = twin(20, N, 100, informative=False, activation="softplus")
    run = annealed(soft, min(starts, 5))
    run.plot_levels("va7.png")
    print("va7, softplus:\n" + run.summary(soft.new))


if __name__ == "__main__":
    main()
