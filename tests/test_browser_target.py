"""The tests that need a browser: out of `make test`, in `make check` and CI, clear without one."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_make_test_leaves_them_out_and_check_does_not() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "browser" in settings["tool"]["pytest"]["ini_options"]["norecursedirs"]
    assert "selenium>=4.20" in settings["project"]["optional-dependencies"]["browser"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "\ncheck: test smoke lint types examples fuzz browser\n" in makefile
    assert "-m pytest tests/browser\n" in makefile
    continuous = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "make smoke lint types examples fuzz browser\n" in continuous
    assert continuous.rstrip().endswith('tail -n 1 "$log"')
    assert sorted((ROOT / "tests" / "browser").glob("test_*.py"))


@pytest.mark.parametrize("variable", ["CHROMIUM", "CHROMEDRIVER"])
def test_without_a_browser_it_says_how_to_get_one(variable: str) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tests" / "browser" / "chromium.py"],
        env={**os.environ, "CHROMIUM": sys.executable, "CHROMEDRIVER": sys.executable}
        | {variable: "no-such-program"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("make browser: there is no no-such-program on PATH.")
    assert "apt-get install -y chromium chromium-driver" in done.stderr
    assert f"the variable {variable}" in done.stderr
