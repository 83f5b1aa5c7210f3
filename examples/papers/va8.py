"""VA-8: recurrent networks, eqs. 16 and 17 of Abarbanel, Rozdeba and Shirman (2017).

Twins whose layers remember: x(l, s) = f[w(l) x(l-1, s) + W(l) x(l, s-1)] (eq. 16), and with another
function g within a layer, f[w(l) x(l-1, s)] + g[W(l) x(l, s-1)] (eq. 17). Sequences go in, outputs
at every place are measured with noise. Several weights give the same outputs, so what is to be
recovered is their effect: the error on new sequences, against the same network trained by
back-propagation through time, Adam and L-BFGS, from the same start for the same time.
"""

from __future__ import annotations

import argparse
from itertools import pairwise

import numpy as np

import symda as sd

WIDTHS, PLACES, PAIRS, NEW, NOISE = (4, 8, 8, 3), 6, 60, 400, 0.05
GAIN = 0.8  # of the weights; from about 1.2 on such a network is chaotic


def twin(seed: int, within: str | None) -> tuple[sd.Action, sd.Pairs, sd.Pairs]:
    """Draw weights from their prior, and noisy sequences of what they give."""
    rng = np.random.default_rng([seed, 8])
    fans = [n for before, own in pairwise(WIDTHS) for n in (before, own)]
    prior = [sd.Normal(0.0, GAIN / np.sqrt(n)) for n in fans]
    net = sd.Model.recurrent(WIDTHS, PLACES, activation="tanh", within=within, prior=prior)
    action = sd.Action(net)
    truth = [rng.normal(p.mean, p.sd) for p in net.prior]
    x = rng.normal(size=(PAIRS + NEW, PLACES, WIDTHS[0]))
    y = action.outputs(truth, x)
    y = y + NOISE * rng.normal(size=y.shape)
    old, new = (
        sd.Pairs(x[part], y[part], variance=NOISE**2, input_variance=1e-4)
        for part in (slice(0, PAIRS), slice(PAIRS, None))
    )
    return action, old, new


def main() -> None:
    """Fit both networks on several twins, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--starts", type=int, default=4)
    given = parser.parse_args()
    print(f"noise {NOISE**2:.5f}; errors on new sequences, and levels in brackets")
    for equation, within in (("eq. 16", None), ("eq. 17", "logistic")):
        ratios = []
        for seed in range(given.seeds):
            action, pairs, new = twin(seed, within)
            run = sd.anneal(action, pairs, paths=given.starts, seed=seed)
            errors = run.prediction_errors(new)["error"]
            levels = {"lowest level": run.best.action, "constant": run.dataset.attrs["constant"]}
            levels |= {f"back-propagation, {name}": v for name, v in run.trained.items()}
            words = [f"{k} {errors[k]:.5f} ({v:.3g})" for k, v in levels.items()]
            print(f"{equation}, twin {seed}: " + "; ".join(words), flush=True)
            assert errors["lowest level"] < 0.5 * errors["constant"], "the effect is recovered"
            ratios.append(
                min(errors[k] for k in errors.index if k.startswith("back"))
                / errors["lowest level"]
            )
        print(
            f"{equation}: the better back-propagation's error over annealing's, median "
            f"{np.median(ratios):.2f}, {min(ratios):.2f} to {max(ratios):.2f}"
        )


if __name__ == "__main__":
    main()
