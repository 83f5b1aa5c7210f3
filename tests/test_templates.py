"""Templates are text with holes, and what they emit has names of its own by file."""

import re
from pathlib import Path

import pytest

from symda.rendering import folder

FILES = sorted(folder().glob("*.pyx.j2"))
EVERY = sorted(folder().rglob("*.j2"))
#: What makes a module: its files use the few functions of numbers and rows that stand here.
MODULES = {"kernels", "newton_lanes", "lattice", "integrate", "flow", "network", "terms", "draws"}
#: Other beginnings of names than the file's: what CasADi and `find_step` look for.
BEGINNINGS = {
    "network_calls": ("run_", "describe", "take"),
    "network_matrices": (
        *("product_", "mixture_", "transposed_", "lanes_sum", "outer", "share", "mult", "mix"),
    ),
    "casadi": ("symda___DIGEST___", "casadi_"),
    "integrate_methods": ("step_", "tangent_"),
    "integrate_lattice": ("step_", "sign"),
}
FUNCTION = re.compile(r"^cdef [^=(\n]*?[ *]((?:\w|\{\{[^}]*\}\})+)\(", re.MULTILINE)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_functions_are_called_after_their_file(file: Path) -> None:
    stem, text = file.name.split(".")[0], file.read_text(encoding="utf-8")
    names = FUNCTION.findall(text)
    assert len(names) == len(re.findall(r"^cdef .*\(", text, re.MULTILINE))
    own = BEGINNINGS.get(stem, (stem.rpartition("_")[2].removesuffix("s"),))
    others = [name for name in names if not name.startswith(own)]
    assert stem in MODULES or others == []


@pytest.mark.parametrize("file", EVERY, ids=lambda file: file.name)
def test_lists_and_long_conditions_are_made_in_python(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert not re.search(r"\.append\(|\| select|map\(attribute|namespace\(", text)
    conditions = re.findall(r"\{% (?:el)?if (.*?) %\}", text)
    assert max(map(len, conditions), default=0) < 60
