"""Section "neuron": the NaKL neuron of the examples, voltage measured, 18 parameters estimated."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from climbs import climb
from common import STANDARD, Row, Size, hand_over, pin, section_size, skip

SECTION = "neuron"
EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
TARGET = 15.0
OPTIONS = {"tol": 1e-6, "max_iter": 300}


def measure(size: Size) -> list[Row]:
    """Processor time of the example's whole ladder, a path."""
    if not (EXAMPLES / "nakl.py").is_file():
        skip("neuron", "there is no examples/nakl.py")
        return []
    sys.path.insert(0, str(EXAMPLES))
    example = importlib.import_module("nakl")
    pin()
    milliseconds, paths = size.neuron
    action, _, data = example.experiment(milliseconds)
    problem, kernels = action.bind(data), action.compile().machine
    real = size.D == STANDARD.D
    rf = example.LADDER.values(problem.states)
    climb(kernels, problem, rf[:1], 1, max_iter=1)  # builds
    found = climb(kernels, problem, rf, paths, **(OPTIONS if real else {"max_iter": 2}))
    name = f"newton, N = {problem.N:,}, {len(rf)} rungs, {paths} paths at once"
    return [
        Row(
            SECTION,
            f"{name}: a path",
            "s",
            found.path,
            at_most=TARGET if real else None,
            points={"iterations a path": found.iterations / paths},
            main=True,
        ),
        Row(SECTION, f"{name}: an iteration and path", "ms", found.iteration),
    ]


if __name__ == "__main__":
    hand_over(measure(section_size()))
