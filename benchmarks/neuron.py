"""Section "neuron": a Hodgkin-Huxley neuron, voltage measured, all 18 parameters estimated."""

from __future__ import annotations

import numpy as np
from climbs import climb
from common import STANDARD, Row, Size, hand_over, pin, section_size, skip

SECTION = "neuron"
TARGET = 15.0
#: ms, mV
DT, NOISE = 0.02, 1.0
#: Rungs of Rf, with one a state: mV and gates between 0 and 1 differ by about a hundred.
RF0 = {"V": 1e-4, "m": 1.0, "h": 1.0, "n": 1.0}
ALPHA, RUNGS = 2.0, 21


def current(times: np.ndarray) -> np.ndarray:
    """Injected current in uA/cm^2, (T,): slow and fast waves of unrelated periods."""
    periods = np.array([47.0, 23.3, 11.7, 6.1])
    phases = np.array([0.3, 1.9, 4.0, 5.2])
    waves = np.sin(2.0 * np.pi * times[:, None] / periods + phases)
    return 12.0 + waves @ np.array([14.0, 10.0, 8.0, 6.0])


def measure(size: Size) -> list[Row]:
    """Processor time of a whole ladder, a path."""
    import symda as sd

    try:
        model = sd.models.nakl()
    except AttributeError:
        skip("neuron", "this symda has no model library")
        return []
    pin()
    steps, paths = size.neuron
    times = DT * np.arange(steps + 1)
    action = sd.Action(model, [model.states[0]], scheme="hermite-simpson")
    _, data = sd.twin(
        action,
        parameters=sd.models.NAKL,
        initial={"V": -65.0, "m": 0.1, "h": 0.5, "n": 0.4},
        times=times,
        forcing={"I": current(times)},
        variance=NOISE**2,
        seed=1,
    )
    problem, kernels = action.bind(data, midpoint_data=True), action.compile().machine
    rungs = RUNGS if size.D == STANDARD.D else 2
    rf = sd.Ladder(RF0, ALPHA, rungs).values(problem.states)
    climb(kernels, problem, rf[:1], 1, max_iter=1)  # builds
    found = climb(kernels, problem, rf, paths)
    name = f"newton, {steps + 1} times, {rungs} rungs, {paths} paths at once"
    return [
        Row(
            SECTION,
            f"{name}: a path",
            "s",
            found.path,
            at_most=TARGET if size.D == STANDARD.D else None,
            points={"iterations a path": found.iterations / paths},
            main=True,
        ),
        Row(SECTION, f"{name}: an iteration and path", "ms", found.iteration),
    ]


if __name__ == "__main__":
    hand_over(measure(section_size()))
