"""A shell to try the command line in, and a model file; shared by its tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from symda.cli import main

MODEL = """\
import symda as sd

x = sd.states("x", 5, start=(-10.0, 10.0))
nu = sd.parameter("nu", bounds=(0.0, 20.0), start=(5.0, 15.0))
model = sd.Model(
    {x[a]: x[a - 1] * (x[(a + 1) % 5] - x[a - 2]) - x[a] + nu for a in range(5)},
    name="lorenz96",
)
measured = [x[0], x[2], x[3]]
variance = {"x0": 0.1, x[2]: 0.1, "x3": 0.1}
"""


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


class Shell:
    """Runs the command in a folder of its own."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys

    def write(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text, encoding="utf-8")
        return name

    def __call__(self, *arguments: str) -> Done:
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        out, err = self._capsys.readouterr()
        assert "Traceback" not in err or "--traceback" in arguments
        return Done(int(ended.value.code or 0), out, err)


@pytest.fixture
def symda(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Shell:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    return Shell(tmp_path, capsys)
