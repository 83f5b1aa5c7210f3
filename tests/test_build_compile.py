"""Compiling: right numbers, a new binary for every change, messages of failures."""

from __future__ import annotations

import importlib.metadata
import json
import math
import re
import shutil
import subprocess
import sys

import pytest

from symda.build import Options, build, cache_entries, doctor, load
from symda.emit import Source
from symda.errors import BuildError

BODY = "# cython: language_level=3\ndef f(double {}, double {}):\n    return a - 2.0 * b\n"
FORWARD = Source.of("tiny", BODY.format("a", "b"))
SWAPPED = Source.of("tiny", BODY.format("b", "a"))


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def environment(monkeypatch, shared_cache):
    for variable in ("CC", "SYMDA_CC", "SYMDA_CFLAGS", "SYMDA_NATIVE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("SYMDA_CACHE", str(shared_cache))


@pytest.fixture
def wrapped_compiler(tmp_path):
    """Make compilers that are cc but for what `text`, a shell fragment, does before."""

    def make(text):
        path = tmp_path / "wrapped-cc"
        path.write_text(f'#!/bin/sh\n{text}\nexec {shutil.which("cc")} "$@"\n')
        path.chmod(0o755)
        return str(path)

    return make


def test_the_second_build_is_the_first_one():
    first = build(FORWARD)
    second = build(FORWARD)
    assert second.cached
    assert second.library == first.library
    assert second.seconds < 0.5
    assert load(second) is load(first.library)
    assert load(first).f(1.0, 5.0) == -9.0
    assert load(first).__name__ == FORWARD.name == first.library.name.partition(".")[0]


def test_swapped_arguments_give_the_swapped_numbers():
    forward, swapped = load(build(FORWARD)), load(build(SWAPPED))
    assert (forward.f(1.0, 5.0), swapped.f(1.0, 5.0)) == (-9.0, 3.0)


def test_a_changed_flag_gives_a_new_binary():
    base = build(FORWARD)
    changed = build(FORWARD, Options(flags=("-O0",), native=False))
    assert not changed.cached
    assert changed.library != base.library
    assert changed.library.read_bytes() != base.library.read_bytes()
    assert load(changed).f(1.0, 5.0) == -9.0


def test_another_compiler_version_gives_a_new_binary(wrapped_compiler):
    base = build(FORWARD)
    same_path = wrapped_compiler("")
    first = build(FORWARD, Options(cc=same_path))
    wrapped_compiler('[ "$*" = --version ] && echo "cc 99.0" && exit')
    second = build(FORWARD, Options(cc=same_path))
    assert not first.cached and not second.cached
    assert len({base.library, first.library, second.library}) == 3


def test_another_processor_gives_a_new_binary(wrapped_compiler):
    same_path = wrapped_compiler('[ "$1" = --version ] && echo "cc 1.0" && exit')
    first = build(FORWARD, Options(cc=same_path))
    other = 'case "$*" in *-dM*) echo "#define __OTHER__ 1" && exit;; esac'
    wrapped_compiler(f'[ "$1" = --version ] && echo "cc 1.0" && exit\n{other}')
    second = build(FORWARD, Options(cc=same_path))
    assert not second.cached
    assert second.library != first.library


def test_another_cython_gives_a_new_binary(monkeypatch):
    base = build(FORWARD)
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "99.0")
    changed = build(FORWARD)
    assert not changed.cached
    assert changed.library != base.library


def test_a_variable_that_the_compiler_reads_gives_a_new_binary(monkeypatch, tmp_path):
    base = build(FORWARD)
    monkeypatch.setenv("CPATH", str(tmp_path))
    changed = build(FORWARD)
    assert not changed.cached
    assert changed.library != base.library


def test_the_binary_does_not_depend_on_where_it_is_made(monkeypatch, tmp_path):
    here = build(FORWARD)
    monkeypatch.setenv("SYMDA_CACHE", str(tmp_path / "elsewhere"))
    there = build(FORWARD)
    assert not there.cached
    assert there.library.name == here.library.name
    assert there.library.read_bytes() == here.library.read_bytes()
    assert str(tmp_path).encode() not in there.library.read_bytes()


def test_only_source_library_and_record_are_kept():
    folder = build(FORWARD).library.parent
    library = build(FORWARD).library.name
    assert {path.name for path in folder.iterdir()} == {
        f"{FORWARD.name}.pyx",
        library,
        "build.json",
    }
    assert (folder / f"{FORWARD.name}.pyx").read_text() == FORWARD.text
    identity = json.loads((folder / "build.json").read_text())["identity"]
    assert identity["name"] == FORWARD.name
    assert "-ffp-contract=fast" in identity["compiler"]


def test_default_flags_keep_nan_infinity_and_subnormals():
    text = (
        "# cython: language_level=3\n"
        "from libc.math cimport isnan\n"
        "def half(double x):\n    return 0.5 * x\n"
        "def is_nan(double x):\n    return bool(isnan(x)) and x != x\n"
    )
    module = load(build(Source.of("careful", text)))
    assert module.half(1e-323) == 5e-324
    assert 0.5 * 1e-323 == 5e-324
    assert module.half(math.inf) == math.inf
    assert module.is_nan(math.nan) and not module.is_nan(1.0)


def test_cython_errors_are_shown_and_the_source_is_kept(shared_cache):
    bad = Source.of("bad", "def f(double a):\n    return a + undefined_name\n")
    with pytest.raises(BuildError) as failed:
        build(bad)
    message = str(failed.value)
    assert message.startswith(f"Cython failed with exit status 1 on {bad.name}:\n")
    assert f"{bad.name}.pyx:2:15: undeclared name not builtin: undefined_name" in message
    kept = re.search(r"kept in (\S+)\. If the message", message)[1]
    assert kept.startswith(str(shared_cache / "failed"))
    with open(f"{kept}/{bad.name}.pyx") as file:
        assert file.read() == bad.text
    assert bad.name not in {entry.name for entry in cache_entries()}
    with pytest.raises(BuildError, match="Cython failed"):
        build(bad)  # neither remembered as built nor in its own way


def test_c_errors_are_shown_from_the_first_on_and_cut():
    lines = "\n".join(f"    int f{i}(void) {{ return missing{i}; }}" for i in range(20))
    text = (
        f'cdef extern from *:\n    """\n{lines}\n    """\n    int f0()\ndef g():\n    return f0()\n'
    )
    with pytest.raises(BuildError) as failed:
        build(Source.of("bad", text))
    message = str(failed.value).splitlines()
    assert message[0].startswith("the C compiler failed with exit status 1 on bad_")
    assert "error:" in message[1] and "missing0" in message[1]
    assert re.fullmatch(r"  \.\.\. \(\d+ more lines\)", message[16])
    assert len(message) == 18


def test_a_killed_compiler_is_a_failure(wrapped_compiler):
    killed = wrapped_compiler('case "$*" in *-shared*|*-bundle*) kill -9 $$;; esac')
    with pytest.raises(BuildError, match="the C compiler was killed by signal 9 on tiny_"):
        build(FORWARD, Options(cc=killed))


def test_a_flag_the_compiler_does_not_know_is_its_message():
    with pytest.raises(BuildError, match="no-such-flag"):
        build(FORWARD, Options(flags=("-fno-such-flag-exists", "-Wno-such-flag", "-mno-such-flag")))


def test_libraries_that_cannot_be_loaded_say_why(tmp_path):
    with pytest.raises(BuildError, match="the compiled module gone is gone: no file"):
        load(tmp_path / "gone.so")
    (tmp_path / "text.so").write_text("not a library")
    with pytest.raises(BuildError, match=r"module text cannot be loaded: .*symda cache clear"):
        load(tmp_path / "text.so")
    other = tmp_path / build(FORWARD).library.name.replace("tiny", "huge")
    shutil.copy(build(FORWARD).library, other)
    with pytest.raises(BuildError, match="does not define module export function"):
        load(other)


def test_a_missing_symbol_and_a_failing_initialiser_are_load_errors():
    missing = (
        'cdef extern from *:\n    """\n    extern int symda_not_there(void);\n    """\n'
        "    int symda_not_there()\ndef f():\n    return symda_not_there()\n"
    )
    with pytest.raises(BuildError, match=r"cannot be loaded: .*symda_not_there"):
        load(build(Source.of("missing", missing)))
    with pytest.raises(BuildError, match="cannot be loaded: no luck"):
        load(build(Source.of("raising", "raise ValueError('no luck')\n")))


def test_a_fresh_process_loads_from_the_cache():
    library = build(FORWARD).library
    program = (
        "import time; start = time.perf_counter()\n"
        "from symda.build import load\n"
        f"assert load({str(library)!r}).f(1.0, 5.0) == -9.0\n"
        "import sys\n"
        "heavy = {'sympy', 'casadi', 'scipy', 'numpy', 'Cython', 'xarray'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "print(time.perf_counter() - start)\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    assert float(answer.stdout) < 2.0


def test_doctor_finds_this_machine_well():
    checks = {check.name: check for check in doctor()}
    assert list(checks) == [
        *("compiler", "test compile", "cython", "casadi", "numpy", "scipy", "sympy"),
        *("ipopt", "cache", "processors"),
    ]
    assert all(check.ok for check in checks.values()), checks
    assert re.fullmatch(r"compiled in \d+\.\d s, loaded in \d+ ms", checks["test compile"].detail)
    assert checks["ipopt"].detail == "minimises (x - 3)^2"


def test_doctor_says_what_is_missing(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SYMDA_CC", "none")
    monkeypatch.setenv("SYMDA_CACHE", str(tmp_path / "file" / "cache"))
    checks = {check.name: check for check in doctor()}
    assert {name for name, check in checks.items() if not check.ok} == {
        *("compiler", "test compile", "cache")
    }
    assert checks["compiler"].detail == (
        "the compiler is switched off by SYMDA_CC=none. The CasADi virtual machine is used instead."
    )
    assert "cannot be written" in checks["cache"].detail
