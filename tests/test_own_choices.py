"""Starts and strategies of a user's own: they may hold others, and draw again."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from anneal_fakes import Fake, make_problem, mark, run, start_of

import symda as sd
from symda.anneal.starts import STARTS, Draw, Point, Start
from symda.anneal.strategies import STRATEGIES
from symda.show.report.repeat import python_command

# before any worker process starts, which has to find it too
sys.path.append(str(Path(__file__).parents[1] / "examples"))

import own_choices as example


@dataclass(frozen=True)
class Second:
    """The second start of another."""

    of: Start = field(default_factory=lambda: STARTS["uniform"])
    name = "second"

    def point(self, draw: Draw) -> Point:
        return self.of.point(draw.again(1))


def test_turns_are_draws_of_their_own() -> None:
    problem = make_problem()
    draw = Draw(problem, seed=7, number=2)
    first, again, other = draw.path(), draw.again(0).path(), draw.again(1).path()
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert np.array_equal(first, start_of(2, problem)[0])
    assert not np.array_equal(other, Draw(problem, seed=7, number=3).path())


def test_an_initial_state_lies_on_the_datum_and_else_in_its_range() -> None:
    problem = make_problem()
    states = np.array([Draw(problem, number=k).initial() for k in range(200)])
    assert (states[:, 0] == problem.y[0, 0]).all()
    assert states[:, 1].min() < -1.8 and states[:, 1].max() > 1.8
    assert np.abs(states[:, 1]).max() <= 2.0


def test_a_start_may_hold_another() -> None:
    second = run(start=Second(), paths=3)
    assert second.attrs["start"] == "second"
    expected = Draw(make_problem(), seed=7, number=1, turn=1)
    expected.path()
    assert second["parameters"][1, 0].item() == expected.parameters()[0]


@pytest.mark.parametrize("inner", ["ladder", "window"])
@pytest.mark.parametrize("executor", ["serial", "processes"])
def test_a_strategy_may_hold_another(inner: str, executor: str) -> None:
    """Of two starts the lower level is kept: those of one run with another turn."""
    own = example.Restart(STRATEGIES[inner])
    both = run(strategy=own, paths=6, executor=executor, workers=2 if executor != "serial" else 1)
    one = run(strategy=inner, paths=6)
    two = run(strategy=inner, paths=6, start=Second())
    levels = [d["action"].values[:, -1] for d in (both, one, two)]
    assert np.array_equal(levels[0], np.minimum(levels[1], levels[2]))
    assert not np.array_equal(levels[0], levels[1])
    assert both.attrs["strategy"] == "restart"


@pytest.mark.smoke
@pytest.mark.usefixtures("uncompiled")
def test_the_example_finds_one_level_in_every_way(
    capsys: pytest.CaptureFixture[str],
) -> None:
    example.main()
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 4
    levels = [float(line.split("action ")[1].split(",")[0]) for line in said]
    assert levels == pytest.approx([levels[0]] * 4, rel=1e-6)


@pytest.mark.usefixtures("uncompiled")
def test_a_report_names_what_it_cannot_hold() -> None:
    action, data = example.problem()
    made = sd.anneal(
        action,
        data,
        ladder=sd.Ladder(rungs=2),
        paths=1,
        solver="newton",
        start=example.Simulated(),
        strategy=example.Restart(),
        executor="serial",
        progress=False,
    )
    python, missing = python_command(made.dataset)
    assert "start=start" in python and "strategy=strategy" in python
    said = " ".join(missing)
    assert "The start was 'simulated'" in said and "The strategy was 'restart'" in said


def test_the_better_of_two_is_kept_whichever_fails() -> None:
    """A path whose second start fails keeps its first."""

    class Once:
        name = "once"

        def point(self, draw: Draw) -> Point:
            if draw.turn:
                raise ValueError("no second start")
            return draw.path(), draw.parameters()

    both = run(strategy=example.Restart(), start=Once(), paths=3)
    alone = run(start=Once(), paths=3)
    assert np.array_equal(both["action"], alone["action"])


def test_a_strategy_may_take_another_solver_than_the_runs() -> None:
    @dataclass(frozen=True)
    class Then:
        name = "then"
        pooled = False

        def run(self, job, paths, deadline, halt):
            inner = replace(job, solver=Fake(stall={mark(0): 0}))
            STRATEGIES["ladder"].run(job, paths, deadline, halt)
            return STRATEGIES["ladder"].run(inner, paths, deadline, halt)

    found = run(strategy=Then(), paths=2)
    assert found["status"].values[:, 0].tolist() == [4, 1]


def test_a_strategy_that_returns_nothing_is_named() -> None:
    class Silent:
        name = "silent"
        pooled = False

        def run(self, job, paths, deadline, halt):
            return None

    found = run(strategy=Silent(), paths=2)
    assert all("'silent' returned no list" in message for message in found["message"].values)
