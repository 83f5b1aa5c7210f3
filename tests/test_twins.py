"""Twin experiments over sets, noises and lengths: what is found, missed, refused."""

from __future__ import annotations

import numpy as np
import pytest
from cli_shell import symda  # noqa: F401

import symda as sd
from symda.errors import OptionError

K = {"k": 0.8}


@pytest.fixture(scope="module")
def model():
    x, y = sd.states("x y", start=(0.5, 2.0))
    k = sd.parameter("k", bounds=(0.05, 5.0))
    return sd.Model({x: -k * x, y: x - y}, name="chain")


@pytest.fixture(scope="module")
def study(model):
    x, y = model.states
    return sd.twins(
        model, [[x], [x, y], {"sum": x + y}], parameters=K, dt=0.1, steps=[20],
        variance=[1e-4, 1e-2], seeds=1,
    )  # fmt: skip


def test_a_solvable_model_is_found_whatever_is_measured(study):
    rows = study.rows
    assert len(rows) == 3 * 2 and (rows["failed"] == "").all()
    assert rows["found"].all() and not study.table["lies"].any()
    assert list(rows["L"].unique()) == [1, 2] and set(rows["measured"]) == {"x", "x, y", "sum"}


def test_errors_are_those_of_a_regression(study):
    """Of x alone k is found with the error of least squares, sigma over the slope's size."""
    rows = study.rows[study.rows["measured"] == "x"]
    for row in rows.itertuples():
        t = 0.1 * np.arange(row.steps + 1)
        # the truth starts between 0.5 and 2: half the slope at most
        slopes = np.stack([np.exp(-K["k"] * t), -t * np.exp(-K["k"] * t)])
        sd_k = np.sqrt(row.variance * np.linalg.inv(slopes @ slopes.T)[1, 1])
        assert row.parameter_error < 4.0 * sd_k / 0.5 / K["k"]
    median = rows.groupby("variance")["parameter_error"].median()
    assert median[1e-4] < median[1e-2]
    # y is not measured there, and what is never measured has no error where all is measured
    assert np.isfinite(rows["error_hidden"]).all()
    assert study.rows.loc[study.rows["measured"] == "x, y", "error_hidden"].isna().all()


def test_the_table_has_a_row_for_each_setting(study, tmp_path):
    table = study.table
    assert len(table) == 6 and (table["twins"] == 1).all() and (table["found"] == 1.0).all()
    assert "error_hidden" in str(study)
    study.plot(tmp_path / "twins.png")
    assert (tmp_path / "twins.png").stat().st_size > 5000


def test_too_few_data_are_not_called_enough(model):
    """A constant that nothing tells, k of x where only y at one time is measured."""
    _, y = model.states
    one = sd.twins(model, [[y]], parameters=K, dt=3.0, steps=1, variance=1e-2, seeds=1)
    assert not one.rows["consistent"].any() and one.rows["parameter_error"].max() > 0.0


def test_what_fails_is_a_row_with_its_reason():
    z = sd.state("z", start=(1.0, 2.0))
    wild = sd.Model({z: z**2}, name="wild")
    found = sd.twins(wild, [[z]], dt=0.1, steps=[2, 30], variance=1e-2, seeds=1)
    assert found.rows["failed"].iloc[0] == "" and found.rows["failed"].iloc[1] != ""
    assert "failed, such as" in str(found)
    assert not found.rows["found"].iloc[1]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"measured": []}, "must hold one set"),
        ({"measured": [[]]}, "must hold one set"),
        ({"measured": 3}, "sequence of sets"),
        ({"variance": -1.0}, "twins: variance"),
        ({"steps": 0}, "twins: steps"),
        ({"seeds": 0}, "twins: seeds"),
        ({"call": {"solver": "ipotp"}}, "no solver 'ipotp'"),
    ],
)
def test_what_is_wrong_for_all_is_an_error_of_the_call(model, change, text):
    given = {"measured": [[model.states[0]]], "steps": 4, "variance": 1e-2, "seeds": 1, **change}
    with pytest.raises(OptionError, match=text):
        sd.twins(model, parameters=K, dt=0.1, **given)


def test_a_study_goes_on_from_its_store(model, tmp_path, monkeypatch):
    x = model.states[0]
    given = {"parameters": K, "dt": 0.1, "steps": 8, "variance": 1e-2, "seeds": 2}
    first = sd.twins(model, [[x]], **given, store=tmp_path / "runs")
    assert len(list((tmp_path / "runs").iterdir())) == 2
    again = sd.twins(model, [[x]], **given, store=tmp_path / "runs")
    left = [name for name in first.rows.columns if name != "seconds"]
    assert first.rows[left].equals(again.rows[left])


def test_the_command_line(symda):  # noqa: F811
    symda.write(
        "model.py",
        "import symda as sd\n"
        "x, y = sd.states('x y', start=(0.5, 2.0))\n"
        "k = sd.parameter('k', bounds=(0.05, 5.0))\n"
        "model = sd.Model({x: -k * x, y: x - y}, name='chain')\n"
        "measured = [x, y]\nparameters = {'k': 0.8}\n",
    )
    words = ("twin", "model.py", "--dt", "0.1", "--steps", "8", "--seeds", "1")
    done = symda(*words, "--into", "out")
    assert done.code == 0 and "x, y" in done.out and "wrote" in done.out
    assert (symda.folder / "out" / "twins.csv").exists()
    one = symda(*words, "--measure", "y", "--into", "out")
    assert one.code == 0 and "x, y" not in one.out
    wrong = symda(*words, "--measure", "w")
    assert wrong.code == 2 and "no state 'w'" in wrong.err
