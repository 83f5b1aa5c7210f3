"""Other units change nothing of the call without options but the units of what it gives."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

import symda as sd

POWERS = (-12, -6, 6, 12)
#: Units of two sizes, and of time.
UNITS = ("x", "y", "time")
EVERY = {"x": 1e12, "y": 1e-6, "time": 1e-12}


@dataclass(frozen=True)
class Answer:
    """What a run gives, in the units where all are 1."""

    levels: np.ndarray
    values: np.ndarray
    sds: np.ndarray
    states: np.ndarray
    findings: tuple[tuple[str, bool | None], ...]
    told: tuple[str, ...]  #: Of each kind of start how many there were, and why the run ended.
    solutions: np.ndarray


def answer(
    action: sd.Action,
    data: sd.Observations,
    sizes: Sequence[float],
    rates: Mapping[str, float],
    unit: float,
    shift: float = 0.0,
    **options: object,
) -> Answer:
    """Call without options; a density of data in larger units is lower, the action higher."""
    # a unit that stands in an equation is a parameter that is held: one build does for all
    run = sd.anneal(action, data, fixed={"u": unit}, progress=False, **options)
    sds = action.posterior(run, data, fixed={"u": unit}).sd
    told = json.loads(run.dataset.attrs["told"])
    return Answer(
        np.sort(run.levels.values[:, -1]) - shift,
        np.array([run.best.parameters[name] / unit for name, unit in rates.items()]),
        np.array([sds[name] / unit for name, unit in rates.items()]),
        run.best.states.values / sizes,
        tuple((f.about, f.holds) for f in run.verdict().findings),
        tuple(line for line in told if not line.startswith("finished")),
        run.dataset["solution_action"].values - shift,
    )


def growth(
    x: float = 1.0, y: float = 1.0, time: float = 1.0, *, known: bool = True, **options: object
) -> Answer:
    """Logistic growth n, in units x and time; what it ends at, k, is in units of y."""
    n = sd.state("n", start=(0.1 * x, 3.0 * x))
    r = sd.parameter("r", start=(0.2 / time, 3.0 / time), bounds=(0.02 / time, 30.0 / time))
    u = sd.parameter("u", bounds=(0.0, 1e30))
    k = sd.parameter("k", start=(0.5 * y, 5.0 * y), bounds=(0.05 * y, 50.0 * y))
    sigma = sd.parameter("sigma", bounds=(1e-3 * x, x), scale="log")
    model = sd.Model({n: r * n * (1 - u * n / k)}, name="growth")
    times = np.linspace(0.0, 6.0, 13)
    truth = 2.0 / (1.0 + 9.0 * np.exp(-1.1 * times))
    values = truth + 0.05 * np.random.default_rng(0).standard_normal(times.size)
    rates = {"r": 1.0 / time, "k": y}
    if known:
        data = sd.Observations(time * times, x * values, variance=(0.05 * x) ** 2)
        return answer(sd.Action(model, [n]), data, [x], rates, y / x, **options)
    data = sd.Observations(time * times, x * values)
    action = sd.Action(model, {"n": sd.Normal(n, sigma)})
    shift = times.size * np.log(x)
    return answer(action, data, [x], rates | {"sigma": x}, y / x, shift, **options)


def chain(x: float = 1.0, y: float = 1.0, time: float = 1.0, **options: object) -> Answer:
    """A -> B -> nothing, in units x and y, of which B is measured: which step is slow is open."""
    a = sd.state("a", start=(0.1 * x, 3.0 * x), bounds=(0.0, 30.0 * x))
    b = sd.state("b", start=(0.0, 2.0 * y), bounds=(-1.0 * y, 20.0 * y))
    k = sd.parameter("k", start=(0.2 / time, 3.0 / time), bounds=(0.0, 30.0 / time))
    u = sd.parameter("u", bounds=(0.0, 1e30))
    q = sd.parameter("q", start=(0.05 / time, 1.0 / time), bounds=(0.0, 10.0 / time))
    model = sd.Model({a: -k * a, b: u * k * a - q * b}, name="chain")
    times = np.linspace(0.0, 8.0, 17)
    truth = 2.0 * 0.9 / (0.3 - 0.9) * (np.exp(-0.9 * times) - np.exp(-0.3 * times))
    values = truth + 0.02 * np.random.default_rng(1).standard_normal(times.size)
    data = sd.Observations(time * times, y * values, variance=(0.02 * y) ** 2)
    rates = {"k": 1.0 / time, "q": 1.0 / time}
    return answer(sd.Action(model, [b]), data, [x, y], rates, y / x, **options)


MODELS: dict[str, Callable[..., Answer]] = {"growth": growth, "chain": chain}


@cache
def plain(name: str) -> Answer:
    return MODELS[name]()


def check_same(found: Answer, wanted: Answer, share: float = 1e-6) -> None:
    assert found.told == wanted.told
    assert found.findings == wanted.findings
    assert found.levels == pytest.approx(wanted.levels, rel=share, nan_ok=True)
    assert found.solutions == pytest.approx(wanted.solutions, rel=share, nan_ok=True)
    assert found.values == pytest.approx(wanted.values, rel=share)
    assert found.sds == pytest.approx(wanted.sds, rel=share)
    assert found.states == pytest.approx(wanted.states, rel=share, abs=share)


@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("name", MODELS)
def test_a_unit_changes_nothing_but_the_unit(name: str, unit: str, power: int) -> None:
    check_same(MODELS[name](**{unit: 10.0**power}), plain(name))


def test_every_kind_of_start_is_the_same_in_other_units() -> None:
    """The lowest level is met at once; here the run goes on until each kind had its turn."""
    options = {"strategy": sd.Auto(met=1000), "paths": 120, "workers": 1}
    wanted = chain(**options)
    check_same(chain(**EVERY, **options), wanted)
    assert {line.partition(":")[0] for line in wanted.told[:-1]} >= {"shooting", "simulated"}


def test_a_noise_that_is_estimated_is_the_same_in_other_units() -> None:
    check_same(growth(**EVERY, known=False), growth(known=False))
