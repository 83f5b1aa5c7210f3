"""A wheel and an editable install both carry every module and every template."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

import symda

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.smoke

REPORT = """
import json
import sys
from importlib.metadata import entry_points, version
from importlib.resources import as_file, files

import symda

def templates(folder, prefix=""):
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from templates(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(".j2"):
            yield prefix + entry.name

(script,) = entry_points(group="console_scripts", name="symda")
print(json.dumps({
    "file": symda.__file__,
    "templates": sorted(templates(files("symda.templates"))),
    "probe": files("symda.templates").joinpath("probe.j2").read_text(),
    "typed": files("symda").joinpath("py.typed").is_file(),
    "version": version("symda"),
    "script": script.value,
}))
"""


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a copy of all that goes into the package, so that building leaves no trace here.

    A template and a nested one of the test's own are added, to be looked for afterwards.
    """
    copy = tmp_path / "checkout"
    copy.mkdir()
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for name in ("symda", "templates"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "templates" / "probe.j2").write_text("{{ probe }}\n")
    (copy / "templates" / "nested").mkdir()
    (copy / "templates" / "nested" / "probe.j2").write_text("{{ probe }}\n")
    return copy


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """Return the interpreter of a new environment that sees this one's packages but not symda.

    A path named in a .pth file has its own .pth files ignored, so an editable symda of the
    surrounding environment stays out of reach, while NumPy and the like need no second install.
    """
    folder = tmp_path / "environment"
    venv.create(folder, with_pip=False, symlinks=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    (site / "surrounding.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin" / "python"


def install(environment: Path, *what: str | Path, cwd: Path) -> None:
    run(
        *(sys.executable, "-m", "pip", "--python", environment, "install", "--quiet"),
        *("--no-deps", "--no-index", "--ignore-installed", "--no-build-isolation"),
        *what,
        cwd=cwd,
    )


def templates_of(checkout: Path) -> list[str]:
    folder = checkout / "templates"
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.j2"))


def test_a_wheel_carries_every_module_and_template(
    checkout: Path, environment: Path, tmp_path: Path
) -> None:
    run(
        *(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path),
        cwd=checkout,
    )
    (wheel,) = tmp_path.glob("symda-*.whl")
    assert wheel.name == f"symda-{symda.__version__}-py3-none-any.whl"

    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    modules = {path.relative_to(checkout).as_posix() for path in (checkout / "symda").rglob("*.py")}
    templates = {f"symda/templates/{name}" for name in templates_of(checkout)}
    assert packed == {*modules, *templates, "symda/py.typed", "symda/templates/__init__.py"}

    install(environment, wheel, cwd=tmp_path)
    shutil.rmtree(checkout / "symda")
    report = json.loads(run(environment, "-c", REPORT, cwd=tmp_path))
    assert Path(report["file"]).is_relative_to(environment.parents[1])
    assert report["templates"] == templates_of(checkout)
    assert report["probe"] == "{{ probe }}\n"
    assert report["typed"]
    assert report["version"] == symda.__version__
    assert report["script"] == "symda.cli:main"


def test_an_editable_install_finds_the_templates_where_they_are_edited(
    checkout: Path, environment: Path, tmp_path: Path
) -> None:
    install(environment, "--editable", checkout, cwd=tmp_path)
    (checkout / "templates" / "later.j2").write_text("{{ later }}\n")
    report = json.loads(run(environment, "-c", REPORT, cwd=tmp_path))
    assert report["file"] == str(checkout / "symda" / "__init__.py")
    assert "later.j2" in report["templates"]
    assert report["templates"] == templates_of(checkout)
    assert report["version"] == symda.__version__
    assert report["script"] == "symda.cli:main"
