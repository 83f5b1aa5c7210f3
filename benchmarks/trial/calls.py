"""The calls that are judged: functions of an action, its data, a limit of seconds and steps.

`auto` is the one the project is judged by; the others are what a user may set by hand. A further
one is a function with a line in `CALLS`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import symda as sd
from symda.observe import Problem

Call = Callable[[sd.Action, Any, float, int], sd.Run]


def auto(action: sd.Action, data: Any, seconds: float, steps: int) -> sd.Run:
    """Call without any option, but for the machine's: how long, and on one core."""
    if steps != 1:
        raise SystemExit("--steps belongs to the calls set by hand")
    return sd.anneal(action, data, time_limit=seconds, workers=1, progress=False)


def newton(action: sd.Action, data: Any, seconds: float, steps: int, **options: Any) -> sd.Run:
    """Newton on the relative ladder, with the options given; published problems have a grid."""
    bound = isinstance(data, Problem) or action.model.discrete
    grid = {} if bound else {"steps": steps}
    return sd.anneal(
        action,
        data,
        time_limit=seconds,
        workers=1,
        progress=False,
        solver="newton",
        **grid,
        **options,
    )


CALLS: dict[str, Call] = {
    "auto": auto,
    "window": partial(newton, strategy="window", paths=16),
    "nudged": partial(newton, start="nudged", paths=16),
    "window-nudged": partial(newton, strategy="window", start="nudged", paths=16),
    "uniform": partial(newton, paths=16),
    "population": partial(newton, strategy="population", paths=32, attempts=2),
}
