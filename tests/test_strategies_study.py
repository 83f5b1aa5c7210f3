"""The study beyond the paper, in small: it counts what it says and draws its figure."""

import runpy
from pathlib import Path

import numpy as np
import pytest

STUDY = Path(__file__).parents[1] / "examples" / "papers" / "beyond.py"


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(STUDY))


@pytest.mark.smoke
def test_the_study_in_small(script, tmp_path, capsys):
    experiment = script["Experiment"](4, 1, steps=40)
    run, cpu = experiment.anneal(strategy="population", paths=12, attempts=2)
    assert cpu > 0
    tally = script["Tally"]()
    tally.add(run, cpu, experiment.true, 0.0)
    tally.add(run, cpu, -1.0, 0.0)
    best = np.nanmin(run.levels[:, -1])
    assert tally.attempts == 4
    assert tally.hits == run.time_to_lowest(experiment.true, 0.0).hits
    assert best < experiment.true and tally.hits in {1, 2}
    assert f"{tally.hits} of 4" in str(tally)
    script["draw"](experiment, [run], tmp_path / "beyond.png", (3, 2))
    assert (tmp_path / "beyond.png").stat().st_size > 10_000


def test_points_that_would_cover_each_other_lie_side_by_side(script):
    values = [10.0, 10.0, 10.0, 100.0, 10.01]
    points = list(script["strip"](values, 2.0))
    assert sorted(value for _, value in points) == pytest.approx(sorted(values))
    assert len({round(at, 6) for at, value in points if value < 20}) == 4
    assert [at for at, value in points if value > 20] == [2.0]
