"""The C compiler: which one, whether it can be used, and the flags it is given."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from symda.build import cache
from symda.errors import BuildError, OptionError

# Contraction to fused multiply-add is chosen on purpose: it only ever removes a rounding.
DEFAULT_FLAGS = (
    "-O2",
    "-ftree-vectorize",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-ffp-contract=fast",
)
NATIVE_FLAG = "-march=native"
FORBIDDEN_FLAGS = frozenset(
    {
        "-ffast-math",
        "-Ofast",
        "-funsafe-math-optimizations",
        "-ffinite-math-only",
        "-ffp-model=fast",
        "-ffp-model=aggressive",
        "-mdaz-ftz",
    }
)

# Variables that change what a compiler reads or writes without showing in its arguments.
COMPILER_VARIABLES = (
    "CPATH",
    "C_INCLUDE_PATH",
    "LIBRARY_PATH",
    "COMPILER_PATH",
    "GCC_EXEC_PREFIX",
    "CCC_OVERRIDE_OPTIONS",
    "MACOSX_DEPLOYMENT_TARGET",
    "SDKROOT",
)
#: Lines of /proc/cpuinfo that say what a processor can do: those of x86, then those of ARM.
_FEATURES = frozenset(
    {"vendor_id", "cpu family", "model", "model name", "stepping", "flags"}
    | {"features", "cpu implementer", "cpu architecture", "cpu variant", "cpu part", "cpu revision"}
)


class NoCompiler(BuildError):  # noqa: N818 - reads as the reason it is; it is caught by name
    """No usable toolchain on this machine; the CasADi virtual machine can evaluate instead."""


@dataclass(frozen=True)
class Options:
    """How emitted modules are compiled.

    Raises
    ------
    OptionError
        A refused flag, or something that is not a flag.
    """

    #: Flags of the C compiler, before those in the environment variable ``SYMDA_CFLAGS``. Those
    #: that assume away NaN or subnormal numbers are refused.
    flags: tuple[str, ...] = DEFAULT_FLAGS
    #: Add ``-march=native`` where the compiler knows it. The environment variable
    #: ``SYMDA_NATIVE=0`` turns it off for a machine or a shared cache.
    native: bool = True
    #: Compiler command. Default: the environment variable ``SYMDA_CC`` (``none`` or empty: no
    #: compiler), then ``CC``, then the one Python was built with, then ``cc``, ``gcc`` or
    #: ``clang``.
    cc: str | None = None

    def __post_init__(self) -> None:
        """Refuse flags that would change results silently."""
        if isinstance(self.flags, str):
            raise OptionError(
                f"Options: flags must be a tuple of strings, got the string {self.flags!r}. "
                f"Write flags={tuple(self.flags.split())!r}."
            )
        object.__setattr__(self, "flags", tuple(self.flags))
        for flag in self.flags:
            if not isinstance(flag, str) or not flag.startswith("-") or "\0" in flag:
                raise OptionError(
                    f"Options: each compiler flag must start with '-', got {flag!r}. "
                    "Files cannot be passed, because the cache does not see into them."
                )
        _refuse_fast_math(self.flags, "Options")

    def resolve(self, chain: Toolchain) -> tuple[str, ...]:
        """Return the flags that `chain` is really called with.

        Returns
        -------
        tuple of str
            `flags`, with ``-march=native`` if it is wanted and known, and ``SYMDA_CFLAGS``.

        Raises
        ------
        OptionError
            ``SYMDA_NATIVE`` is neither 0 nor 1, or the compiler command or ``SYMDA_CFLAGS`` carries
            a refused flag.
        """
        further = _further_flags()
        _refuse_fast_math(chain.command[1:], "the compiler command")
        _refuse_fast_math(further, "SYMDA_CFLAGS")
        wanted = self.native and _native_allowed()
        if wanted and chain.target and NATIVE_FLAG not in self.flags:
            return (*self.flags, NATIVE_FLAG, *further)
        return (*self.flags, *further)


@dataclass(frozen=True)
class Toolchain:
    """What is needed to turn Cython into a loadable module, or why it is missing."""

    #: Absolute path of the compiler and the arguments its user gave with it; empty: none.
    command: tuple[str, ...]
    version: str  #: First line of ``--version``.
    #: Digest of the processor's features as ``-march=native`` resolves them; empty if the compiler
    #: does not know that flag.
    target: str
    include: tuple[str, ...]  #: Folders with the Python headers.
    link: tuple[str, ...]  #: Flags that make a loadable module.
    why: str  #: Empty, or why this toolchain cannot be used.

    @property
    def usable(self) -> bool:
        """Whether modules can be compiled."""
        return not self.why

    @property
    def compiler(self) -> str | None:
        """Absolute path of the compiler, or None."""
        return self.command[0] if self.command else None


def toolchain(cc: str | None = None) -> Toolchain:
    """Find the C compiler, the Python headers and Cython.

    Parameters
    ----------
    cc : str, optional
        Compiler command; default as described for `Options`.

    Returns
    -------
    Toolchain
        Check `Toolchain.usable`; `Toolchain.why` says what is missing and how to get it.
    """
    origin, wanted = _wanted(cc)
    if sys.platform == "win32":
        return _unusable("emitted code is compiled on Linux and macOS only")
    if wanted is not None and wanted.strip().lower() in {"", "none"}:
        return _unusable(f"the compiler is switched off by {origin}={wanted}")
    command = _locate(wanted)
    if command is None:
        return _unusable(
            "no C compiler was found on the PATH (looked for cc, gcc, clang); install one, for "
            "example with `apt install gcc` or `xcode-select --install`"
            if wanted is None
            else f"{origin} names the C compiler {wanted!r}, which was not found; install it or "
            f"correct {origin}"
        )
    headers = sysconfig.get_paths()["include"]
    if not (Path(headers) / "Python.h").is_file():
        return _unusable(
            f"the Python headers are missing (no Python.h in {headers}); install them, for "
            f"example with `apt install python{sys.version_info[0]}.{sys.version_info[1]}-dev`",
        )
    if importlib.util.find_spec("Cython") is None:
        return _unusable("Cython is not installed; run `pip install cython`")
    try:
        version = _version(command, *_stamp(command))
    except (OSError, _NoAnswer):
        return _unusable(f"the C compiler {shlex.join(command)} does not answer to --version")
    bundle = ("-bundle", "-undefined", "dynamic_lookup")
    return Toolchain(
        command=command,
        version=version.splitlines()[0].strip(),
        target=predefined_macros(command, (NATIVE_FLAG,)) or "",
        include=(headers,),
        link=bundle if sys.platform == "darwin" else ("-shared",),
        why="",
    )


def predefined_macros(command: tuple[str, ...], flags: tuple[str, ...]) -> str | None:
    """Return a digest of what the compiler predefines: target, processor features, modes.

    ``-march=native`` means something else on every processor. The macros say what, with GCC and
    Clang alike.

    Parameters
    ----------
    flags : tuple of str
        Flags of the compilation.

    Returns
    -------
    str or None
        SHA-256; None if the compiler refuses the flags.

    Notes
    -----
    The compiler is asked once. The answer is kept for this process, and in the cache for others,
    under all it depends on: the compiler's file and version, flags, environment, processor.
    """
    try:
        return _macros(command, flags, *_stamp(command))
    except (OSError, _NoAnswer):
        return None


def _stamp(command: tuple[str, ...]) -> tuple[tuple[int, int], tuple[str, ...]]:
    """Return what tells that the compiler is another one than before."""
    stat = os.stat(command[0])
    environment = tuple(os.environ.get(name, "") for name in ("PATH", *COMPILER_VARIABLES))
    return (stat.st_mtime_ns, stat.st_size), environment


class _NoAnswer(Exception):  # noqa: N818 - reads as what it says
    """The compiler refused; unlike an answer that is not kept, since it may have had no memory."""


@functools.cache
def _macros(
    command: tuple[str, ...],
    flags: tuple[str, ...],
    stamp: tuple[int, int],
    environment: tuple[str, ...],
) -> str:
    version, machine = _version(command, stamp, environment), processor()
    question = None
    if machine:
        named = [command, flags, stamp, environment, version, platform.machine(), machine]
        question = cache.key_of({"macros": named})
    known = None if question is None else cache.recall(question)
    if known is not None:
        return known
    answer = _run([*command, *flags, "-E", "-dM", "-x", "c", os.devnull])
    if answer is None or answer.returncode:
        raise _NoAnswer
    digest = hashlib.sha256(answer.stdout.encode()).hexdigest()
    if question is not None:
        cache.remember(question, digest)
    return digest


@functools.cache
def _version(command: tuple[str, ...], stamp: tuple[int, int], environment: tuple[str, ...]) -> str:
    """Return what the compiler says of itself: a script may stand before the one that compiles."""
    # what else is given makes a compiler that was replaced in a long session another question
    del stamp, environment
    answer = _run([*command, "--version"])
    if answer is None or answer.returncode or not answer.stdout.strip():
        raise _NoAnswer
    return answer.stdout


@functools.cache
def processor() -> str:
    """Return a digest of the processors' kind and features; empty if the system does not list them.

    A cache may be shared by machines, and ``-march=native`` means something else on each.
    """
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return ""
    told = {line for line in lines if line.partition(":")[0].strip().lower() in _FEATURES}
    listed = any(line.lower().startswith(("flags", "features")) for line in told)
    return hashlib.sha256("\n".join(sorted(told)).encode()).hexdigest() if listed else ""


def _wanted(cc: str | None) -> tuple[str, str | None]:
    if cc is not None:
        return "cc", cc
    for variable in ("SYMDA_CC", "CC"):
        if variable in os.environ:
            # An empty CC means unset to every build tool; only SYMDA_CC is a switch.
            if variable == "CC" and not os.environ["CC"].strip():
                continue
            return variable, os.environ[variable]
    return "", None


def _locate(wanted: str | None) -> tuple[str, ...] | None:
    if wanted is not None:
        candidates = [wanted]
    else:
        candidates = [str(sysconfig.get_config_var("CC") or "cc"), "cc", "gcc", "clang"]
    for candidate in candidates:
        try:
            program, *arguments = shlex.split(candidate)
        except ValueError:  # unbalanced quotes, or nothing but blanks
            continue
        path = shutil.which(program)
        if path is not None:
            return (os.path.abspath(path), *arguments)
    return None


def _run(command: list[str]) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            env=tool_environment(),
        )
    except OSError:
        return None


def tool_environment() -> dict[str, str]:
    """Return the environment tools run in: messages in English, so that they can be compared."""
    return {**os.environ, "LC_ALL": "C"}


def _unusable(why: str) -> Toolchain:
    return Toolchain(command=(), version="", target="", include=(), link=(), why=why)


def _native_allowed() -> bool:
    value = os.environ.get("SYMDA_NATIVE", "1")
    if value not in {"0", "1"}:
        raise OptionError(
            f"SYMDA_NATIVE must be 0 or 1, got {value!r}. Unset it for the default, 1."
        )
    return value == "1"


def _further_flags() -> tuple[str, ...]:
    given = os.environ.get("SYMDA_CFLAGS", "")
    try:
        return tuple(shlex.split(given))
    except ValueError as error:
        raise OptionError(f"SYMDA_CFLAGS is no list of flags: {given!r} ({error}).") from error


def _refuse_fast_math(flags: tuple[str, ...], where: str) -> None:
    for flag in flags:
        if flag in FORBIDDEN_FLAGS:
            raise OptionError(
                f"{where}: the flag {flag} is refused: loading a library built with it can make "
                "the whole process flush subnormal numbers to zero, and checks for NaN vanish. "
                f"Leave it out; the defaults are {' '.join(DEFAULT_FLAGS)}."
            )
