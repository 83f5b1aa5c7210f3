"""Names of modules, which are names of files and parts of names in C, Python and Cython."""

import keyword
from pathlib import Path

import pytest
from Cython.Compiler.Main import CompilationOptions, compile_single
from hypothesis import given
from hypothesis import strategies as st

from symda.names import LONGEST, module_name

ODD = [
    *keyword.kwlist,
    *"I complex NULL EOF M_PI errno register restrict cdef nogil size_t double int".split(),
    *"gamma y0 j1 exp len print PyObject PY_SSIZE_T _x __x a__b value_t".split(),
    *["λ", "Δ", "é", "x[0]", "x[1, 2]", "firing rate", "2x", "", "_", "日", "v'", "C++", "x-y"],
]


@pytest.mark.parametrize(
    ("model", "scheme", "stem"),
    [
        ("lorenz96", "rk4", "lorenz96_rk4"),
        ("Lorenz 96", "hermite-simpson", "lorenz_96_hermite_simpson"),
        ("Δ-model", "map", "delta_model_map"),
        ("3 cells", "euler", "v3_cells_euler"),
        ("λ", "ς", "lambda_sigma"),
        ("é", "日", "e_u65e5"),
        ("x[0]", "__a__b", "x_0_a_b"),
        ("", "", "v"),
    ],
)
def test_module_names(model: str, scheme: str, stem: str) -> None:
    assert module_name(model, scheme) == stem


@given(st.text(max_size=60), st.text(max_size=60))
def test_module_names_are_identifiers(model: str, scheme: str) -> None:
    name = module_name(model, scheme)
    assert name.isascii() and name.isidentifier() and name.islower()
    assert "__" not in name and len(name) <= LONGEST
    assert module_name(name, "") == name


def test_cython_takes_what_methods_are_called(tmp_path: Path) -> None:
    """The emitted step maps have functions and tables that end or begin with such a name."""
    source = tmp_path / "identifiers.pyx"
    words = {module_name("", name) for name in ODD}
    lines = "\n".join(f"    cdef double step_{w} = 1.0, {w}_A = 2.0" for w in sorted(words))
    source.write_text(f"cdef void f() noexcept nogil:\n{lines}\n")
    result = compile_single(str(source), CompilationOptions(), full_module_name="identifiers")
    assert result.num_errors == 0
