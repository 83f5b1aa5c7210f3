"""Peak memory in GiB of an annealing run with newton; arguments: steps, states."""

from __future__ import annotations

import resource
import sys

import numpy as np
from common import DT, VARIANCE, lorenz96

import symda as sd


def main(steps: int, D: int) -> float:
    """One rung of one path, two iterations: more of them take no more memory."""
    measured = range(0, D - 1, 3)
    action = lorenz96(D, measured)
    times = DT * np.arange(steps + 1)
    # any data do
    values = np.random.default_rng(0).normal(size=(steps + 1, len(measured)))
    sd.anneal(
        action,
        sd.Observations(times, values, variance=VARIANCE),
        ladder=sd.Ladder(1.0, 2.0, 1),
        paths=1,
        solver="newton",
        options={"max_iter": 2},
        progress=False,
    )
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (2**30 if sys.platform == "darwin" else 2**20)


if __name__ == "__main__":
    print(main(int(sys.argv[1]), int(sys.argv[2])))
