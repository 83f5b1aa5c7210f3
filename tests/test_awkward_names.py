"""Names hold whatever people write, and what is made of a model means the same."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import sympy as sp

import symda as sd
from symda.build import write_source
from symda.declare import Forcing, Parameter, State
from symda.discretise import Scheme
from symda.names import is_name, module_name

#: PEP 263, which Cython before 3.3 applies to the bytes of a source's first two lines.
ENCODING = re.compile(rb"(\w*coding)[:=]\s*([-\w.]+)")

#: Printable, so all of them are names.
NAMES = [
    "neural coding: latin-1 model",
    "encoding=utf-16",
    "# cython: boundscheck=True",
    "# distutils: extra_compile_args=-DOTHER",
    'quotes """ and " at the end"',
    "apostrophes ''' and '",
    "back\\slash \\N{DIGIT ONE} \\",
    "*/ int other; /*",
    "??/ ??' trigraph",
    "__DIGEST__",
    "{{ 7*7 }} {% raw %}",
    "größe 日本 λ",
]
NO_NAMES = [
    "", " ", " x", "x ", "a\nb", "a\rb", "a\0b", "a\x0cb", "a\x1b[31mb", "a\u2028b", "a\u202eb",
    "a\u200bb", "\ud800", 5, None, b"x",
]  # fmt: skip


def sources(name: str, n: str) -> list[str]:
    """Emit a model in all forms, called `name`, with symbols that have `n` in their names."""
    wide = {"start": (0.0, 1.0)}
    x, y, q, p = (State(f"{letter} {n}", **wide) for letter in "xyqp")
    k, u = Parameter(f"k {n}", bounds=(0.0, 1.0)), Forcing(f"u {n}")
    model = sd.Model({x: y - k * x + u, y: -sp.sin(x)}, name=name)
    action = sd.Action(model, {f"h {n}": x, n: x * y}, scheme="rk4")
    mechanical = sd.Model.from_hamiltonian(p**2 / 2 + k * q**4, q, p, name=name)
    i = sd.site(f"i {n}", 300)
    # a field's name has no blanks
    f = sd.states(re.sub(r"[\s,]", "", f"f{n}"), i, **wide)
    field = sd.Model({f[i]: f[i + 1] * k - f[i] + u}, name=name)
    return [
        action.emitted.text,
        action.emitted_newton.text,
        sd.step_map(mechanical, "verlet", parameters={k.name: 1.0}).source,
        sd.Action(field, list(f[::100]), scheme="rk4", matrix_free=True).emitted.text,
    ]


def code(source: str) -> str:
    """Return what a source says to the compiler: all but docstrings, comments and its digest."""
    text = re.sub(r'"""[^"\\]*"""', "", source)
    return re.sub(r"_[0-9a-f]{12}_", "_", re.sub(r" *#.*", "", text))


@cache
def plain() -> list[str]:
    return [code(source) for source in sources("plain", "plain")]


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("name", NAMES)
def test_no_name_reaches_the_code(name: str) -> None:
    """What is left without heading and comments is the code of a model with plain names."""
    assert is_name(name)
    for source, expected in zip(sources(name, name), plain(), strict=True):
        assert code(source) == expected
        first, second = source.encode().splitlines()[:2]
        assert not ENCODING.search(first) and not ENCODING.search(second)
        assert all(line.isprintable() for line in source.splitlines())
        for sign in ("*/", "/*", "??", "\\"):
            assert sign not in source.split('"""')[1]


def test_a_model_of_the_worst_names_compiles_and_computes() -> None:
    """One name with everything in it; rates and action of a decay are known exactly."""
    worst = " ".join(NAMES)
    assert len(worst) > 250
    x, k = State(worst, bounds=(0.0, 9.0)), Parameter(f"k {worst}", bounds=(0.0, 9.0))
    model = sd.Model({x: -k * x}, name=worst)
    kernels = sd.Action(model, {f"h {worst}": 2 * x}, scheme="euler").compile()
    assert kernels.kind == "compiled"
    data = sd.Observations([0.0, 1.0], [1.0, 1.0], variance=0.5, channels=[f"h {worst}"])
    problem = sd.Action(model, {f"h {worst}": 2 * x}, scheme="euler").bind(data)
    # r = 2 - 3 + 1/2 * 3 = 1/2; Rf r^2 / 2 = 4 / 8; h - y = 5 and 3; sum 2 (25 + 9) / 2
    value = kernels.action(np.array([[3.0], [2.0]]), [0.5], 4.0, problem)
    assert value == pytest.approx(0.5 + 34.0, rel=1e-14)


@pytest.mark.parametrize("name", NO_NAMES, ids=repr)
def test_what_cannot_be_read_is_no_name(name: object) -> None:
    assert not is_name(name)
    x = sd.state("x")
    i = sd.site("i", 3)
    f = sd.states("f", i)
    model = sd.Model({x: -x})
    for make in (
        lambda: State(name),
        lambda: sd.Model({x: -x}, name=name),
        lambda: sd.Model({f[i]: -f[i]}, name=name),
        lambda: sd.Action(model, {name: x}),
    ):
        with pytest.raises(sd.ModelError):
            make()
    for make in (
        lambda: sd.Observations([0.0, 1.0], [[1.0], [2.0]], variance=1.0, channels=[name]),
        lambda: sd.Observations([0.0, 1.0], [1.0, 2.0], variance=1.0, forcing={name: 1.0}),
    ):
        with pytest.raises(sd.DataError):
            make()
    with pytest.raises(sd.OptionError):
        Scheme(name, 1, c=[0], v=[0], X=[[0]], b=[1])


def test_the_model_of_a_bad_name_says_so() -> None:
    x = sd.state("x")
    with pytest.raises(sd.ModelError) as caught:
        sd.Model({x: -x}, name="\ud800")
    assert str(caught.value) == (
        "Model: name must be a printable text that is not empty and has no blanks around it, got "
        "'\\ud800'."
    )


@pytest.mark.usefixtures("uncompiled")
def test_long_names_have_files_of_their_own(tmp_path: Path) -> None:
    x = sd.state("x", start=(0.0, 1.0))
    long = 250 * "a"
    made = [sd.Action(sd.Model({x: -x}, name=long + end), [x]).emitted for end in ("", "b", "c")]
    assert len({source.stem for source in made}) == 3
    files = [write_source(source, tmp_path) for source in made]
    assert len(set(files)) == 3 and all(len(file.name) <= 120 for file in files)
    assert made[0].stem.startswith(90 * "a")


@pytest.mark.parametrize("length", [89, 90, 91, 300])
def test_module_names_have_a_length(length: int) -> None:
    name = module_name(length * "a", "rk4-scheme")
    assert len(name) <= 100 and name.isidentifier()
    assert (name == f"{length * 'a'}_rk4_scheme") == (length <= 89)
