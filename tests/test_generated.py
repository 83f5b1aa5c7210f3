"""The committed sources: what symda writes, free of compiler warnings, and right."""

from __future__ import annotations

import json
import re
import runpy
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import sympy as sp
from models import disagreements, everything, random_point

import symda as sd
from symda.build import Options, build, toolchain
from symda.build.kernels import compiled_kernels, virtual_kernels
from symda.build.toolchain import DEFAULT_FLAGS
from symda.derive.step import derive_step
from symda.emit import Source
from symda.observe import Problem

FOLDER = Path(__file__).parents[1] / "generated"
REGENERATE = runpy.run_path(str(FOLDER / "regenerate.py"))
#: Sources of a network, a library of terms, importance draws, and a lattice's patches.
BESIDE = ("network", "terms", "draws", "patches")
EXAMPLES = REGENERATE["EXAMPLES"]

# Helpers that a model has no use for are left to the compiler to drop.
STRICT = ("-Wall", "-Werror", "-Wno-unused-function", "-Wno-unused-const-variable")


@cache
def action_of(example: str) -> sd.Action:
    return REGENERATE["action_of"](example)


def committed(example: str) -> Path:
    return FOLDER / f"{action_of(example).emitted.stem}.pyx"


def source_of(path: Path) -> Source:
    """A source from its file: its digest stands in the names of its functions."""
    text = path.read_text(encoding="utf-8")
    digests = set(re.findall(r"symda_([0-9a-f]{12})_", text))
    assert len(digests) == 1
    (digest,) = digests
    return Source.of(path.stem, text.replace(digest, "__DIGEST__"))


def problem_of(action: sd.Action, rng: np.random.Generator) -> Problem:
    """Three steps with random data, one of them missing."""
    values = rng.normal(size=(4, len(action.measurement.names)))
    values[1, 0] = np.nan
    times = np.arange(4.0) if action.model.discrete else np.array([0.0, 0.1, 0.15, 0.3])
    forcing = {u.name: 1 + sp.cos(action.model.time or sd.time()) for u in action.model.forcing}
    return action.bind(sd.Observations(times, values, variance=0.3, forcing=forcing))


def test_every_committed_source_belongs_to_an_example() -> None:
    names = {committed(e).name for e in EXAMPLES}
    assert {path.name for path in FOLDER.glob("*.pyx")} == {
        *names,
        *(f"{REGENERATE[one]().stem}.pyx" for one in BESIDE),
    }


def test_versions_name_what_decides_the_text() -> None:
    recorded = json.loads((FOLDER / "versions.json").read_text(encoding="utf-8"))
    assert set(recorded) == {"casadi", "jinja2", "sympy"}


@pytest.mark.parametrize("example", EXAMPLES)
def test_source_was_not_edited_by_hand(example: str) -> None:
    path = committed(example)
    assert source_of(path).text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("example", EXAMPLES)
def test_source_is_what_symda_writes(example: str) -> None:
    recorded = json.loads((FOLDER / "versions.json").read_text(encoding="utf-8"))
    if recorded != REGENERATE["writers"]():
        pytest.skip("other versions write other text; the numbers are compared all the same")
    fresh = action_of(example).emitted.text.encode()
    assert committed(example).read_bytes() == fresh, "run: python generated/regenerate.py"


@pytest.mark.parametrize("beside", BESIDE)
def test_what_no_example_declares_is_what_symda_writes(beside: str) -> None:
    recorded = json.loads((FOLDER / "versions.json").read_text(encoding="utf-8"))
    if recorded != REGENERATE["writers"]():
        pytest.skip("other versions write other text; the numbers are compared all the same")
    fresh = REGENERATE[beside]()
    assert (FOLDER / f"{fresh.stem}.pyx").read_bytes() == fresh.text.encode()


@pytest.mark.skipif(not toolchain().usable, reason="no compiler on this machine")
@pytest.mark.parametrize("beside", BESIDE)
def test_what_no_example_declares_compiles_without_warnings(beside: str) -> None:
    build(REGENERATE[beside](), Options(flags=(*DEFAULT_FLAGS, *STRICT)))


@pytest.mark.skipif(not toolchain().usable, reason="no compiler on this machine")
@pytest.mark.parametrize("example", EXAMPLES)
def test_source_compiles_without_warnings_and_computes_the_action(example: str) -> None:
    action = action_of(example)
    rng = np.random.default_rng(17)
    problem = problem_of(action, rng)
    kernels = compiled_kernels(
        build(source_of(committed(example)), Options(flags=(*DEFAULT_FLAGS, *STRICT)))
    )
    oracle = virtual_kernels(derive_step(action.field, action.scheme), action.emitted)
    for _ in range(3):
        X, theta, rf = random_point(problem, rng)
        got = everything(kernels, problem, X, theta, rf)
        assert disagreements(got, everything(oracle, problem, X, theta, rf)) == {}


def test_regenerating_writes_the_same_folder(tmp_path: Path) -> None:
    REGENERATE["regenerate"](tmp_path)
    recorded = json.loads((tmp_path / "versions.json").read_text(encoding="utf-8"))
    assert recorded == REGENERATE["writers"]()
    assert {path.name for path in tmp_path.glob("*.pyx")} == {
        path.name for path in FOLDER.glob("*.pyx")
    }


def test_the_table_in_the_docs_is_that_of_the_registry() -> None:
    script = runpy.run_path(str(FOLDER.parent / "docs" / "integrators.py"))
    found = (FOLDER.parent / "docs" / "integrators.md").read_text(encoding="utf-8")
    assert found == script["text"](), "run: python docs/integrators.py"
    rows = dict(re.findall(r"^\| `(\S+)` \| (.*) \|$", found, re.MULTILINE))
    assert set(rows) == {*sd.INTEGRATORS, *sd.SCHEMES} - {"map"}
    assert all(rows[name].startswith(f"{one.order} |") for name, one in sd.INTEGRATORS.items())
    assert {name for name, row in rows.items() if row.split(" | ")[-2]} == {*sd.SCHEMES} - {"map"}
    assert "| an ODE |  | 0 to 1 | order 2, 1 interior |" in rows["hermite-simpson"]
