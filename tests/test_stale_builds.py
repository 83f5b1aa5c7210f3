"""Whatever decides the numbers decides the binary: no change can be answered by an old one.

Another compiler, processor or environment: test_build_compile.py.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import jinja2
import numpy as np
import pytest

import symda as sd
from symda.build import Options, build
from symda.build.toolchain import DEFAULT_FLAGS
from symda.emit.emit import environment
from symda.rendering import folder

X = np.array([[0.3, -1.2], [0.9, 0.4]])


def action_of(rate: float = 0.5, swapped: bool = False) -> sd.Action:
    x, y = sd.states("x y", start=(-2.0, 2.0))
    a, b = (y, x) if swapped else (x, y)
    return sd.Action(sd.Model({x: b - rate * a, y: -a * b}, name="pair"), [x], scheme="euler")


def value(action: sd.Action, options: Options | None = None) -> float:
    data = sd.Observations([0.0, 0.1], [0.2, np.nan], variance=0.5)
    return action.compile(options=options).action(X, [], 3.0, data)


def exact(rate: float = 0.5, swapped: bool = False) -> float:
    x, y = X[0]
    a, b = (y, x) if swapped else (x, y)
    r = X[1] - X[0] - 0.1 * np.array([b - rate * a, -a * b])
    return float((X[0, 0] - 0.2) ** 2 / 0.5 / 2 + 3.0 / 2 * r @ r)


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("SYMDA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_changed_constant_and_swapped_states_are_new_binaries(cache: Path) -> None:
    cases = ({}, {"rate": 0.25}, {"swapped": True})
    for case in cases:
        assert value(action_of(**case)) == pytest.approx(exact(**case), rel=1e-14)
    assert len(list(cache.rglob("build.json"))) == len(cases)


def test_a_changed_flag_is_a_new_binary(cache: Path) -> None:
    source = action_of().emitted
    first = build(source).library
    second = build(source, Options(flags=(*DEFAULT_FLAGS, "-O1"))).library
    assert first != second
    assert build(source).library == first


def test_a_changed_template_is_a_new_binary(
    cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plain = value(action_of())
    templates = tmp_path / "templates"
    shutil.copytree(folder(), templates)
    stage = templates / "stages.pyx.j2"
    text = stage.read_text()
    assert "return 0.5*total" in text
    stage.write_text(text.replace("return 0.5*total", "return 0.25*total"))
    monkeypatch.setattr(environment(), "loader", jinja2.FileSystemLoader(templates))
    monkeypatch.setattr(environment(), "cache", None)
    changed = action_of()
    measured = (X[0, 0] - 0.2) ** 2 / 0.5 / 2
    assert value(changed) - measured == pytest.approx((plain - measured) / 2, rel=1e-12)
    assert len(list(cache.rglob("build.json"))) == 2
