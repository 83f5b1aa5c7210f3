"""The compiler: found, switched off, missing; flags given and refused."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import stat
import sysconfig

import pytest

from symda.build import NoCompiler, Options, build, toolchain
from symda.build.toolchain import DEFAULT_FLAGS, FORBIDDEN_FLAGS, predefined_macros
from symda.emit import Source
from symda.errors import BuildError, OptionError


def script(path, text):
    """An executable that stands for a compiler."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch, tmp_path):
    for variable in ("CC", "SYMDA_CC", "SYMDA_NATIVE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("SYMDA_CACHE", str(tmp_path / "cache"))


def test_a_compiler_is_found_and_described():
    chain = toolchain()
    assert chain.usable and chain.why == ""
    assert chain.compiler is not None and os.path.isabs(chain.compiler)
    assert os.path.isfile(os.path.join(chain.include[0], "Python.h"))
    assert "\n" not in chain.version and chain.version


@pytest.mark.parametrize("value", ["none", "None", ""])
def test_symda_cc_switches_the_compiler_off(monkeypatch, value):
    monkeypatch.setenv("SYMDA_CC", value)
    chain = toolchain()
    assert not chain.usable
    assert chain.compiler is None
    assert chain.why == f"the compiler is switched off by SYMDA_CC={value}"
    with pytest.raises(NoCompiler, match=r"a_\w+ cannot be compiled: .*SYMDA_CC.*virtual machine"):
        build(Source.of("a", ""))
    assert issubclass(NoCompiler, BuildError)


def test_cc_is_honoured_with_its_arguments(monkeypatch, tmp_path):
    compiler = script(tmp_path / "mycc", 'echo "mycc 1.0 $1"')
    monkeypatch.setenv("CC", f"{compiler} -m64")
    chain = toolchain()
    assert chain.command == (compiler, "-m64")
    assert chain.version == "mycc 1.0 -m64"


def test_precedence_argument_then_symda_cc_then_cc(monkeypatch, tmp_path):
    names = ["argument", "symda", "cc"]
    argument, symda, cc = (script(tmp_path / name, "echo 1") for name in names)
    monkeypatch.setenv("CC", cc)
    assert toolchain().compiler == cc
    monkeypatch.setenv("SYMDA_CC", symda)
    assert toolchain().compiler == symda
    assert toolchain(argument).compiler == argument


def test_an_empty_cc_means_the_default(monkeypatch):
    default = toolchain()
    monkeypatch.setenv("CC", " ")
    assert toolchain() == default


@pytest.mark.parametrize("value", ["no-such-compiler", "'unbalanced"])
def test_a_compiler_that_is_not_there_is_named(monkeypatch, value):
    monkeypatch.setenv("CC", value)
    assert toolchain().why == (
        f"CC names the C compiler {value!r}, which was not found; install it or correct CC"
    )


def test_no_compiler_at_all(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sysconfig, "get_config_var", lambda name: "gcc")
    assert "no C compiler was found on the PATH (looked for cc, gcc, clang)" in toolchain().why


def test_a_compiler_that_does_not_answer(tmp_path):
    broken = script(tmp_path / "broken", "exit 3")
    assert toolchain(broken).why == f"the C compiler {broken} does not answer to --version"


def test_missing_headers_and_missing_cython_are_told_apart(monkeypatch, tmp_path):
    with monkeypatch.context() as patch:
        patch.setattr(sysconfig, "get_paths", lambda: {"include": str(tmp_path)})
        assert f"no Python.h in {tmp_path}" in toolchain().why
    with monkeypatch.context() as patch:
        patch.setattr(importlib.util, "find_spec", lambda name: None)
        assert toolchain().why == "Cython is not installed; run `pip install cython`"


def test_a_compiler_replaced_in_a_running_session_is_seen(tmp_path):
    path = tmp_path / "cc"
    assert toolchain(script(path, "echo one")).version == "one"
    assert toolchain(script(path, "echo another")).version == "another"


def test_native_is_added_unless_switched_off_or_unknown(monkeypatch, tmp_path):
    chain = toolchain()
    if chain.target:
        assert Options().resolve(chain) == (*DEFAULT_FLAGS, "-march=native")
        assert Options(flags=("-march=native",)).resolve(chain) == ("-march=native",)
    assert Options(native=False).resolve(chain) == DEFAULT_FLAGS
    refusing = 'case "$*" in *-march=native*) exit 1;; esac; echo 1'
    ignorant = toolchain(script(tmp_path / "cc", refusing))
    assert ignorant.usable and ignorant.target == ""
    assert Options().resolve(ignorant) == DEFAULT_FLAGS
    monkeypatch.setenv("SYMDA_NATIVE", "0")
    assert Options().resolve(chain) == DEFAULT_FLAGS


def test_symda_native_must_be_0_or_1(monkeypatch):
    monkeypatch.setenv("SYMDA_NATIVE", "yes")
    message = "SYMDA_NATIVE must be 0 or 1, got 'yes'. Unset it for the default, 1."
    with pytest.raises(OptionError, match=re.escape(message)):
        build(Source.of("a", ""))


def test_macros_tell_modes_apart():
    command = toolchain().command
    assert predefined_macros(command, ("-O0",)) != predefined_macros(command, ("-O2",))
    assert predefined_macros(command, ("-O2",)) == predefined_macros(command, ("-O2",))
    assert predefined_macros(command, ("-march=no-such-processor",)) is None


@pytest.mark.parametrize("flag", sorted(FORBIDDEN_FLAGS))
def test_flags_that_break_arithmetic_are_refused(flag):
    with pytest.raises(OptionError) as refused:
        Options(flags=("-O2", flag))
    assert str(refused.value) == (
        f"Options: the flag {flag} is refused: loading a library built with it can make the whole "
        "process flush subnormal numbers to zero, and checks for NaN vanish. Leave it out; the "
        "defaults are -O2 -ftree-vectorize -fno-math-errno -fno-trapping-math -ffp-contract=fast."
    )


def test_fast_math_cannot_come_in_with_the_compiler_command():
    compiler = shutil.which("cc") or "gcc"
    with pytest.raises(OptionError, match="the compiler command: the flag -Ofast is refused"):
        build(Source.of("a", ""), Options(cc=f"{compiler} -Ofast"))


def test_flags_must_be_flags_and_a_tuple():
    with pytest.raises(OptionError, match=re.escape("Write flags=('-O2', '-g')")):
        Options(flags="-O2 -g")
    with pytest.raises(OptionError, match=r"must start with '-', got '@flags\.txt'. Files cannot"):
        Options(flags=("@flags.txt",))
    assert Options(flags=["-O1"]) == Options(flags=("-O1",))
