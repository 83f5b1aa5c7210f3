"""The examples find what is true as far as their data can tell; the papers' scripts judge it."""

from __future__ import annotations

import runpy
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse.linalg import splu

import symda as sd

EXAMPLES = Path(__file__).parents[1] / "examples"

# Paths that must end on the lowest level, of as many as the example starts.
HITS = {"henon": 16, "lorenz63": 8, "lorenz96": 8, "neuron": 4, "pendulum": 8}


@dataclass(frozen=True)
class Example:
    """A script's names, and what its `estimate` returned."""

    name: str
    script: Mapping[str, Any]
    truth: sd.Trajectory
    data: sd.Observations
    run: sd.Run


def standard_errors(example: Example) -> dict[str, float]:
    """Square roots of the diagonal of the inverse Hessian at the best path, for each parameter."""
    script, dataset, best = example.script, example.run.dataset, example.run.best
    action = sd.Action(script["model"], script["measured"], scheme=script["scheme"])
    steps = dataset.sizes["step"] // (len(example.data.times) - 1)
    problem = action.bind(example.data, steps=steps)
    hessian = action.compile().hessian(
        best.states.values, best.parameters, dataset["rf"].values[-1], problem
    )
    P = dataset.sizes["parameter"]
    last = np.eye(hessian.shape[0])[:, -P:]
    covariance = splu(hessian.tocsc()).solve(last)[-P:]
    return dict(zip(best.parameters, np.sqrt(np.diag(covariance)), strict=True))


@pytest.fixture(scope="module", params=list(HITS))
def example(request: pytest.FixtureRequest) -> Example:
    name: str = request.param
    script = runpy.run_path(str(EXAMPLES / f"{name}.py"))
    return Example(name, script, *script["estimate"]())


def test_parameters_are_recovered_as_far_as_the_data_can_tell(example: Example) -> None:
    chi = example.run.chi_squared()
    assert chi.low <= chi.value <= chi.high, chi.verdict
    assert example.run.table()["paths"][0] >= HITS[example.name]
    errors = standard_errors(example)
    assert len(errors) == example.run.dataset.sizes["parameter"]
    for parameter, error in errors.items():
        true = example.truth.parameters[parameter]
        assert error < 0.1 * abs(true), f"the data hardly constrain {parameter}"
        assert abs(example.run.best.parameters[parameter] - true) < 3 * error, parameter


def test_main_prints_what_was_found_and_draws_it(
    example: Example, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main = example.script["main"]
    known = main.__globals__["estimate"]
    main.__globals__["estimate"] = lambda: (example.truth, example.data, example.run)
    try:
        main(tmp_path)
    finally:
        main.__globals__["estimate"] = known
    printed = capsys.readouterr().out
    for parameter, value in example.run.best.parameters.items():
        assert f"{parameter} = {value:.4f}, true value" in printed
    written = sorted(path.name for path in tmp_path.iterdir())
    assert written and all(name.startswith(f"{example.name}_") for name in written)


def test_script_writes_into_the_folder_it_is_given(tmp_path: Path) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    elsewhere.mkdir()
    subprocess.run([sys.executable, EXAMPLES / "henon.py", "--out", out], cwd=elsewhere, check=True)
    assert {path.name for path in out.iterdir()} == {"henon_levels.png", "henon_states.png"}
    assert list(elsewhere.iterdir()) == []
