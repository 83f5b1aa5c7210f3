"""`doctor`: check whether everything symda needs works on this machine."""

from __future__ import annotations

import importlib.metadata
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from symda.build.cache import cache_entries, chosen_folder
from symda.build.compile import build_in
from symda.build.load import load
from symda.build.toolchain import Options, toolchain
from symda.errors import BuildError, SymdaError

_TRIAL = """\
# cython: language_level=3
def twice(double x):
    return 2.0 * x
"""


@dataclass(frozen=True)
class Diagnosis:
    """The result of one check."""

    name: str  #: What.
    ok: bool  #: Whether it works.
    detail: str  #: Version, timing or size; or what is wrong and how to correct it.


def doctor() -> list[Diagnosis]:
    """Check the compiler, the libraries and the cache; takes a few seconds.

    Returns
    -------
    list of Diagnosis
        Always the same names in the same order.
    """
    return [
        _compiler(),
        _trial_build(),
        *_versions(),
        _ipopt(),
        _cache(),
        Diagnosis("processors", True, _processors()),
    ]


def _compiler() -> Diagnosis:
    chain = toolchain()
    if chain.usable:
        return Diagnosis("compiler", True, f"{chain.compiler}: {chain.version}")
    return Diagnosis("compiler", False, f"{chain.why}. The CasADi virtual machine is used instead.")


def _trial_build() -> Diagnosis:
    from symda.emit import Source  # here, because the emit stage brings SymPy with it

    name = "test compile"
    chain = toolchain()
    if not chain.usable:
        return Diagnosis(name, False, "not tried without a compiler")
    started = time.perf_counter()
    try:
        with tempfile.TemporaryDirectory(prefix="symda-") as folder:
            trial = Source.of("symda_doctor", _TRIAL)
            library, _ = build_in(Path(folder), trial, chain, Options().resolve(chain))
            compiled = time.perf_counter()
            answer = load(library).twice(21.0)
    except (SymdaError, OSError) as error:
        return Diagnosis(name, False, str(error))
    loaded = time.perf_counter()
    if answer != 42.0:
        return Diagnosis(name, False, f"the compiled module computes 2 x 21 = {answer!r}")
    compiling, loading = compiled - started, 1e3 * (loaded - compiled)
    return Diagnosis(name, True, f"compiled in {compiling:.1f} s, loaded in {loading:.0f} ms")


def _versions() -> Iterator[Diagnosis]:
    for package in ("cython", "casadi", "numpy", "scipy", "sympy"):
        try:
            yield Diagnosis(package, True, importlib.metadata.version(package))
        except importlib.metadata.PackageNotFoundError:
            yield Diagnosis(package, False, f"not installed; run `pip install {package}`")


def _ipopt() -> Diagnosis:
    try:
        import casadi
    except (ImportError, OSError) as error:  # a library of it that cannot be loaded
        return Diagnosis("ipopt", False, f"casadi cannot be imported: {error}")
    if not casadi.has_nlpsol("ipopt"):
        return Diagnosis(
            "ipopt", False, "this casadi comes without IPOPT; run `pip install casadi`"
        )
    x = casadi.SX.sym("x")
    try:
        solver = casadi.nlpsol(
            "trial",
            "ipopt",
            {"x": x, "f": (x - 3) ** 2},
            {"print_time": False, "ipopt.print_level": 0, "ipopt.sb": "yes"},
        )
        found = float(solver(x0=0.0)["x"])
    except RuntimeError as error:  # of CasADi, whatever is wrong
        return Diagnosis("ipopt", False, f"it cannot minimise (x - 3)^2: {error}")
    if not abs(found - 3.0) < 1e-6:
        return Diagnosis("ipopt", False, f"minimising (x - 3)^2 gave x = {found!r}")
    return Diagnosis("ipopt", True, "minimises (x - 3)^2")


def _cache() -> Diagnosis:
    try:
        folder = chosen_folder()
    except BuildError as reason:
        return Diagnosis("cache", False, str(reason))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return Diagnosis(
            "cache",
            False,
            f"{folder} cannot be written ({error.strerror}); choose another folder with the "
            "environment variable SYMDA_CACHE",
        )
    entries = cache_entries()
    size = sum(entry.bytes for entry in entries) / 1e6
    return Diagnosis("cache", True, f"{folder}: {len(entries)} modules, {size:.1f} MB")


def _processors() -> str:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{usable} usable of {os.cpu_count()}"
