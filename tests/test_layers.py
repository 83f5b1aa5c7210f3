"""Each stage imports only stages to its left, no modules import one another in a circle.

And SymPy stays where people read equations.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "symda"

# From left to right. The package root (`__init__`) only names what the facade offers.
ORDER = (
    *(
        "errors",
        "types",
        "scale",
        "covariance",
        "labelled",
        "correlations",
        "sites",
        "status",
        "checks",
        "names",
        "registry",
    ),
    *("rendering", "templates"),
    *("declare", "models", "observe", "discretise", "derive", "typeset", "lower", "emit", "build"),
    *("solve", "anneal", "analyse", "sample", "show", "api", "learn"),
    *("__init__", "cli", "__main__"),
)
SYMBOLIC = frozenset(
    {"declare", "models", "observe", "discretise", "derive", "typeset", "api", "cli"}
)


def imported(tree: ast.AST, home: list[str], *, deep: bool = True) -> Iterator[tuple[int, str]]:
    """Yield the line and full name of every module imported, wherever the import stands.

    `home` is the package the file lies in, which relative imports start from. What is taken from a
    top-level package is named behind a colon: `from symda import x` gives `symda:x`. Unless `deep`
    only `tree` itself is looked at.
    """
    for node in ast.walk(tree) if deep else [tree]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            above = home[: len(home) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:
                yield node.lineno, base if "." in base else f"{base}:{alias.name}"
        elif isinstance(node, ast.Call) and node.args:
            function = node.func
            called = getattr(function, "attr", getattr(function, "id", ""))
            first = node.args[0]
            if called in {"import_module", "__import__"} and isinstance(first, ast.Constant):
                yield node.lineno, str(first.value)


def violations(package: Path) -> list[str]:
    """Return one line for each import in `package` that goes against the order."""
    found = []
    for path in sorted(package.rglob("*.py")):
        where = path.relative_to(package.parent)
        stage = where.parts[1].removesuffix(".py")
        if stage not in ORDER:
            found.append(f"{where}: {stage} has no place in the order of stages")
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for line, name in imported(tree, list(where.parts[:-1])):
            module, _, taken = name.partition(":")
            top, *rest = module.split(".")
            if top == "sympy" and stage not in SYMBOLIC:
                found.append(f"{where}:{line}: {stage} imports sympy")
            if top != package.name or taken == "__version__":
                continue
            # Anything taken from the package root may pull in the whole facade.
            target = rest[0] if rest else "__init__"
            if target not in ORDER:
                found.append(f"{where}:{line}: {target} has no place in the order of stages")
            elif target != stage and ORDER.index(target) > ORDER.index(stage):
                found.append(f"{where}:{line}: {stage} imports {target}")
    return found


def dependencies(package: Path) -> dict[str, set[str]]:
    """Return for each module of `package` those it imports, wherever the import stands."""
    files = {module_of(path, package): path for path in package.rglob("*.py")}
    found: dict[str, set[str]] = {}
    for module, path in files.items():
        home = list(path.relative_to(package.parent).parts[:-1])
        found[module] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for _, name in imported(node, home, deep=False):
                base = name.partition(":")[0]
                taken = [alias.name for alias in getattr(node, "names", [])]
                # what is taken from a package is a module of it, or stands in its __init__
                targets = [f"{base}.{one}" for one in taken if f"{base}.{one}" in files]
                found[module].update(targets)
                if len(targets) < max(1, len(taken)):
                    found[module].add(base)
        found[module] &= files.keys() - {module}
    return found


def module_of(path: Path, package: Path) -> str:
    """Return the full name of a module; that of a package's `__init__` is the package's own."""
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def circle(package: Path) -> list[str]:
    """Return modules each of which imports the next, back to the first; empty if there is none."""
    try:
        TopologicalSorter(dependencies(package)).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def test_every_stage_imports_only_to_its_left() -> None:
    assert violations(PACKAGE) == []


def test_no_modules_import_one_another_in_a_circle() -> None:
    assert circle(PACKAGE) == []


@pytest.mark.parametrize(
    "text",
    [
        "from symda.api.run import Run",
        "from .run import Run",
        "from . import run",
        "from symda.api import run",
        "import symda.api.run",
        "def inner():\n    from symda.api.run import Run",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from symda.api.run import Run",
        "run = import_module('symda.api.run')",
    ],
)
def test_a_circle_is_found_wherever_its_imports_stand(tmp_path: Path, text: str) -> None:
    package = tmp_path / "symda"
    files = {
        "api/__init__.py": "from symda.api.action import Action",
        "api/action.py": text,
        "api/run.py": "def report():\n    from symda.api.report import write",
        "api/report.py": "from symda.api import action",
    }
    write(package, files)
    found = circle(package)
    assert set(found) == {"symda.api.action", "symda.api.run", "symda.api.report"}
    assert found[0] == found[-1] and len(found) == 4
    write(package, {"api/report.py": "import os"})
    assert circle(package) == []


def test_a_module_that_takes_from_its_own_package_is_a_circle(tmp_path: Path) -> None:
    package = tmp_path / "symda"
    files = {"api/__init__.py": "from symda.api.run import Run", "api/run.py": "import symda.api"}
    write(package, files)
    assert set(circle(package)) == {"symda.api", "symda.api.run"}


def write(package: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "text", "complaint"),
    [
        ("declare/model.py", "import symda.observe.grid", "declare imports observe"),
        ("declare/model.py", "import numpy, symda.api as api", "declare imports api"),
        ("build/load.py", "from symda.solve import Minimum", "build imports solve"),
        ("build/load.py", "from symda.solve.ipopt import Ipopt as I", "build imports solve"),
        ("errors.py", "from symda.names import is_name", "errors imports names"),
        ("show/text.py", "from symda import anneal", "show imports __init__"),
        ("show/text.py", "import symda as sd", "show imports __init__"),
        ("show/text.py", "from symda import *", "show imports __init__"),
        ("api/run.py", "from symda.cli import main", "api imports cli"),
        ("__init__.py", "from symda.cli import main", "__init__ imports cli"),
        ("lower/ir.py", "from ..build import load", "lower imports build"),
        ("anneal/starts/uniform.py", "from ...api import twin", "anneal imports api"),
        ("lower/ir.py", "from .. import Action", "lower imports __init__"),
        ("solve/newton.py", "import sympy", "solve imports sympy"),
        ("solve/newton.py", "from sympy import Expr", "solve imports sympy"),
        ("emit/render.py", "import sympy.printing.c", "emit imports sympy"),
        ("emit/render.py", "from sympy.core import Expr", "emit imports sympy"),
        ("emit/render.py", "m = importlib.import_module('symda.build')", "emit imports build"),
        ("emit/render.py", "m = import_module('sympy')", "emit imports sympy"),
        ("extra/new.py", "", "extra has no place in the order of stages"),
        ("api/run.py", "import symda.extra", "extra has no place in the order of stages"),
    ],
)
def test_a_wrong_import_is_found(tmp_path: Path, file: str, text: str, complaint: str) -> None:
    package = tmp_path / "symda"
    write(package, {file: text})
    assert [line.split(": ", 1)[1] for line in violations(package)] == [complaint]


@pytest.mark.parametrize(
    "text",
    [
        "def inner():\n    from symda.solve import Minimum",
        "class C:\n    def f(self):\n        import symda.solve",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from symda.solve import Minimum",
        "try:\n    import symda.solve\nexcept ImportError:\n    pass",
    ],
)
def test_an_import_is_found_wherever_it_stands(tmp_path: Path, text: str) -> None:
    package = tmp_path / "symda"
    write(package, {"build/load.py": text})
    assert len(violations(package)) == 1


def test_the_line_is_named(tmp_path: Path) -> None:
    package = tmp_path / "symda"
    write(package, {"build/load.py": "import os\n\nimport symda.api\n"})
    assert violations(package) == ["symda/build/load.py:3: build imports api"]


def test_imports_to_the_left_are_allowed(tmp_path: Path) -> None:
    package = tmp_path / "symda"
    write(
        package,
        {
            "__init__.py": "import symda.api\nfrom symda.declare import Model",
            "__main__.py": "from symda.cli import main",
            "cli.py": "import symda as sd\nfrom symda import Action\nfrom symda.api import Run",
            "names.py": "from symda.errors import InputError",
            "declare/model.py": "import sympy\nfrom . import symbols\nfrom .symbols import State",
            "declare/symbols.py": "from ..names import is_name\nfrom symda.declare import model",
            "anneal/dataset.py": "from symda import __version__\nimport symda.observe",
            "api/run.py": "import sympy\nfrom symda.anneal.starts import STARTS\nimport scipy",
        },
    )
    assert violations(package) == []
