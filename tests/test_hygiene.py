"""Habits a linter does not check: small files, and nothing that holds on one machine only."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WRITTEN = ("symda", "tests", "templates", "examples", "benchmarks")
TEXT = {".py", ".j2", ".md", ".toml", ".cfg", ".txt", ".csv", ".pyx", ".pxd", ".h", ".yml", ""}
LONGEST = 500

# Folders of one person's or one machine's; put together here so that this file has none.
MACHINE_PATH = re.compile("/(?:" + "|".join(("home", "root", "Users", "work")) + r")/\w")


def files(root: Path, *folders: str) -> list[Path]:
    return sorted(
        path
        for folder in folders
        for path in (root / folder).rglob("*")
        if path.is_file() and path.suffix in TEXT and "__pycache__" not in path.parts
    )


def too_long(paths: list[Path]) -> dict[str, int]:
    lengths = {str(path): len(path.read_text(encoding="utf-8").splitlines()) for path in paths}
    return {path: length for path, length in lengths.items() if length > LONGEST}


def machine_paths(paths: list[Path]) -> list[str]:
    return [
        f"{path}:{number}: {line.strip()}"
        for path in paths
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if MACHINE_PATH.search(line)
    ]


def test_no_file_has_grown_too_long() -> None:
    code = [path for path in files(ROOT, *WRITTEN) if path.suffix in {".py", ".j2"}]
    assert code
    assert too_long(code) == {}


def test_no_file_names_a_folder_of_one_machine() -> None:
    top = [path for path in ROOT.iterdir() if path.is_file() and path.suffix in TEXT]
    top = [path for path in top if path.name != ".git"]
    assert machine_paths([*top, *files(ROOT, *WRITTEN, "generated", "docs", ".ci")]) == []


@pytest.mark.parametrize("lines", [LONGEST, LONGEST + 1])
def test_a_long_file_is_found(tmp_path: Path, lines: int) -> None:
    path = tmp_path / "long.py"
    path.write_text("pass\n" * lines)
    assert too_long([path]) == ({} if lines == LONGEST else {str(path): lines})


def test_a_machine_path_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text("fine = '/usr/bin/cc'\nbad = '" + "/".join(("", "home", "ada", "data")) + "'\n")
    assert machine_paths([path]) == [f"{path}:2: bad = '/home" + "/ada/data'"]
