"""The compiler: found, switched off, missing; flags given and refused."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import stat
import sys
import sysconfig

import pytest

from symda.build import NoCompiler, Options, build, cache_clear, toolchain
from symda.build.toolchain import DEFAULT_FLAGS, FORBIDDEN_FLAGS, predefined_macros
from symda.emit import Source
from symda.errors import BuildError, OptionError

# a function has the name of the module that defines it
toolchain_module = sys.modules["symda.build.toolchain"]


def script(path, text):
    """An executable that stands for a compiler."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch, tmp_path):
    for variable in ("CC", "SYMDA_CC", "SYMDA_CFLAGS", "SYMDA_NATIVE"):
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


def test_further_flags_come_last_and_make_another_binary(monkeypatch):
    chain = toolchain()
    plain = Options(native=False).resolve(chain)
    monkeypatch.setenv("SYMDA_CFLAGS", "-O1 -g")
    assert Options(native=False).resolve(chain) == (*plain, "-O1", "-g")
    for wrong, words in (("-ffast-math", "-ffast-math"), ("-O1 'x", "SYMDA_CFLAGS is no list")):
        monkeypatch.setenv("SYMDA_CFLAGS", wrong)
        with pytest.raises(OptionError, match=words):
            Options().resolve(chain)


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


def counting(path, log, macro="1"):
    """Write a compiler that notes what it is asked."""
    return script(
        path,
        f'echo "$*" >> {log}; [ "$1" = --version ] && echo "cc 1" || echo "#define A {macro}"',
    )


def questions(log):
    lines = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return [line for line in lines if "-dM" in line]


@pytest.fixture
def forgetful(monkeypatch, tmp_path):
    """Answers of the cache on disk alone: what a process knows is forgotten at will."""
    monkeypatch.setenv("SYMDA_CACHE", str(tmp_path / "cache"))

    def forget():
        for known in (toolchain_module._macros, toolchain_module._version):
            known.cache_clear()

    yield forget
    forget()


def test_the_compiler_is_asked_once_and_the_answer_is_kept(forgetful, tmp_path):
    log = tmp_path / "log"
    command = (counting(tmp_path / "cc", log),)
    first = predefined_macros(command, ("-O2",))
    assert first == hashlib.sha256(b"#define A 1\n").hexdigest()
    assert len(questions(log)) == 1
    assert predefined_macros(command, ("-O2",)) == first and questions(log) == []
    forgetful()  # another process
    assert predefined_macros(command, ("-O2",)) == first and questions(log) == []


@pytest.mark.parametrize("what", ["flags", "compiler", "environment", "processor", "no processor"])
def test_another_question_is_asked_anew(forgetful, tmp_path, monkeypatch, what):
    """A cache that two machines share must not give one the answer of the other."""
    log = tmp_path / "log"
    command, flags = (counting(tmp_path / "cc", log),), ("-O2",)
    first = predefined_macros(command, flags)
    assert len(questions(log)) == 1
    forgetful()
    if what == "flags":
        flags = ("-O3",)
    elif what == "compiler":
        counting(tmp_path / "cc", log, macro="22")
    elif what == "environment":
        monkeypatch.setenv("COMPILER_PATH", "elsewhere")
    else:
        other = "" if what == "no processor" else "another"
        monkeypatch.setattr(toolchain_module, "processor", lambda: other)
    second = predefined_macros(command, flags)
    assert len(questions(log)) == 1
    assert (second != first) == (what == "compiler")
    forgetful()
    predefined_macros(command, flags)
    assert len(questions(log)) == (what == "no processor")


@pytest.mark.parametrize("damage", ["", "none", "g" * 64])
def test_a_damaged_answer_is_asked_anew(forgetful, tmp_path, damage):
    log = tmp_path / "log"
    command = (counting(tmp_path / "cc", log),)
    first = predefined_macros(command, ())
    (answer,) = (tmp_path / "cache" / "answers").iterdir()
    assert answer.read_text() == first
    answer.write_text(damage)
    forgetful()
    assert predefined_macros(command, ()) == first and len(questions(log)) == 2
    assert cache_clear() == 64 and not (tmp_path / "cache").exists()


def test_answers_do_without_a_cache(forgetful, tmp_path, monkeypatch):
    monkeypatch.setenv("SYMDA_CACHE", "~nobody-of-this-name")
    command = (counting(tmp_path / "cc", tmp_path / "log"),)
    assert predefined_macros(command, ()) is not None


def test_processors_are_told_apart_by_what_they_can_do(monkeypatch):
    told = {}

    def read(self, **options):
        return told["text"]

    def digest(text):
        told["text"] = text
        toolchain_module.processor.cache_clear()
        return toolchain_module.processor()

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.read_text", read)
        one = digest("processor : 0\nmodel : 6\ncpu MHz : 1000\nflags : fpu avx2\n")
        assert one == digest("processor : 1\nmodel : 6\ncpu MHz : 2000\nflags : fpu avx2\n")
        assert one != digest("processor : 0\nmodel : 6\ncpu MHz : 1000\nflags : fpu\n")
        assert one != digest("processor : 0\nmodel : 7\ncpu MHz : 1000\nflags : fpu avx2\n")
        arm = digest("Features : asimd\nCPU part : 0x1\n")
        assert arm and arm != digest("Features : asimd\nCPU part : 0x2\n")
        assert digest("processor : 0\n") == ""
    toolchain_module.processor.cache_clear()
