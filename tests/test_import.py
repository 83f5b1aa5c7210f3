"""What `import symda` gives and what it costs."""

from __future__ import annotations

import ast
import inspect
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import symda as sd

HEAVY = ("casadi", "scipy", "xarray", "matplotlib", "pandas", "typer", "jinja2")

DECLARE = """
x = sd.states("x", 5, start=(-10.0, 10.0))
nu = sd.parameter("nu", bounds=(0.0, 20.0))
sd.Model({x[a]: x[a - 1] * (x[(a + 1) % 5] - x[a - 2]) - x[a] + nu for a in range(5)}, name="l96")
"""


def python(code: str) -> str:
    """Run code in a fresh interpreter and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("after", ["", DECLARE], ids=["import", "declare"])
def test_heavy_libraries_wait_until_they_are_used(after: str) -> None:
    code = (
        f"import sys\nimport symda as sd\n{after}\nprint(*sorted(set({HEAVY}) & set(sys.modules)))"
    )
    assert python(code) == ""


def test_importing_symda_costs_little_more_than_sympy_and_numpy() -> None:
    # The names of the stages up to Model are fetched too, since every program needs them.
    code = (
        "import time, sympy, numpy\nstart = time.perf_counter()\n"
        "import symda as sd\nsd.Model, sd.states, sd.SymdaError\n"
        "print(time.perf_counter() - start)"
    )
    assert min(float(python(code)) for _ in range(3)) < 0.2


def test_the_names_are_listed_alike_everywhere() -> None:
    tree = ast.parse(inspect.getsource(sd))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert typed == sd._HOME
    assert set(sd.__all__) == {*sd._HOME, "__version__"}
    assert set(sd.__all__) <= set(dir(sd))


@pytest.mark.parametrize("name", sd.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(sd, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    name = "lagrangian"
    with pytest.raises(AttributeError) as error:
        getattr(sd, name)
    assert str(error.value) == "module 'symda' has no attribute 'lagrangian'"


def test_importing_a_stage_does_not_hide_the_function_of_the_same_name() -> None:
    stage = import_module("symda.anneal")
    assert inspect.ismodule(stage)
    assert callable(sd.anneal)
    assert sd.anneal is import_module("symda.api").anneal


def test_a_public_name_can_still_be_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sd, "SymdaError", KeyError)
    assert sd.SymdaError is KeyError


def test_the_version_is_the_installed_one() -> None:
    from importlib.metadata import version

    assert sd.__version__ == version("symda")


def test_python_dash_m_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "symda", "--help"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=Path(sys.prefix),
    )
    assert done.returncode == 0, done.stderr
    assert "anneal" in done.stdout


def test_the_readme_uses_public_names_only() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL)
    for example in examples:
        compile(example, "README.md", "exec")
    used = {name for example in examples for name in re.findall(r"\bsd\.(\w+)", example)}
    assert {"Model", "Action", "anneal"} <= used <= set(sd.__all__)


def test_a_second_checkout_runs_its_own_templates(tmp_path: Path) -> None:
    """Whatever checkout is installed: the templates are those beside the package that runs."""
    checkout = Path(__file__).parents[1]
    for name in ("symda", "templates"):
        shutil.copytree(checkout / name, tmp_path / name)
    code = "from symda.rendering import folder; from symda.emit.emit import environment; "
    code += "print(folder(), environment().get_template('kernels.pyx.j2').filename)"
    found = python(f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {code}").split()
    expected = tmp_path.resolve() / "templates"
    assert found == [str(expected), str(expected / "kernels.pyx.j2")]
