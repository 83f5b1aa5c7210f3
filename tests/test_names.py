"""Names that are safe in C, Python and Cython."""

import keyword
from pathlib import Path

import pytest
from Cython.Compiler.Main import CompilationOptions, compile_single
from hypothesis import given
from hypothesis import strategies as st

from symda.names import mangle, module_name

ODD = [
    *keyword.kwlist,
    *"I complex NULL EOF M_PI errno register restrict cdef nogil size_t double int".split(),
    *"gamma y0 j1 exp len print PyObject PY_SSIZE_T _x __x a__b value_t".split(),
    *["λ", "Δ", "é", "x[0]", "x[1, 2]", "firing rate", "2x", "", "_", "日", "v'", "C++", "x-y"],
]


@pytest.mark.parametrize(
    "name", ["x", "V", "S", "N", "E", "Rf", "g_Na", "x10", "alpha", "h_", "tau_m"]
)
def test_safe_names_stay(name: str) -> None:
    assert mangle([name]) == {name: name}


@pytest.mark.parametrize(
    ("name", "identifier"),
    [
        ("I", "I_"),
        ("lambda", "lambda_"),
        ("λ", "lambda_"),
        ("Δ", "Delta"),
        ("ς", "sigma"),
        ("é", "e"),
        ("x[0]", "x_0"),
        ("firing rate", "firing_rate"),
        ("2x", "v2x"),
        ("日", "u65e5"),
        ("__x", "x"),
        ("a__b", "a_b"),
        ("NULL", "NULL_"),
        ("complex", "complex_"),
        ("", "v"),
    ],
)
def test_unsafe_names_are_spelt_out(name: str, identifier: str) -> None:
    assert mangle([name]) == {name: identifier}


def test_collisions_are_numbered_in_order_and_safe_names_win() -> None:
    assert mangle(["x[0]", "x(0)", "x_0", "λ", "lambda"]) == {
        "x[0]": "x_0_2",
        "x(0)": "x_0_3",
        "x_0": "x_0",
        "λ": "lambda_",
        "lambda": "lambda_2",
    }


def test_repeated_names_count_once() -> None:
    assert mangle(["I", "x", "I"]) == {"I": "I_", "x": "x"}


@given(st.lists(st.text(max_size=8)))
def test_identifiers_are_distinct_and_valid(names: list[str]) -> None:
    mangled = mangle(names)
    assert list(mangled) == list(dict.fromkeys(names))
    assert len(set(mangled.values())) == len(mangled)
    for identifier in mangled.values():
        assert identifier.isascii() and identifier.isidentifier()
        assert not keyword.iskeyword(identifier) and "__" not in identifier
        assert mangle([identifier]) == {identifier: identifier}


def test_cython_takes_every_identifier(tmp_path: Path) -> None:
    source = tmp_path / "identifiers.pyx"
    lines = "\n".join(f"    cdef double {name} = 1.0" for name in mangle(ODD).values())
    source.write_text(f"cdef void f() noexcept nogil:\n{lines}\n")
    result = compile_single(str(source), CompilationOptions(), full_module_name="identifiers")
    assert result.num_errors == 0


@pytest.mark.parametrize(
    ("model", "scheme", "stem"),
    [
        ("lorenz96", "rk4", "lorenz96_rk4"),
        ("Lorenz 96", "hermite-simpson", "lorenz_96_hermite_simpson"),
        ("Δ-model", "map", "delta_model_map"),
        ("3 cells", "euler", "v3_cells_euler"),
    ],
)
def test_module_names(model: str, scheme: str, stem: str) -> None:
    assert module_name(model, scheme) == stem
