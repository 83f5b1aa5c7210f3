"""What every test shares: one thread a process, how many examples Hypothesis draws, fixtures."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Before any test imports NumPy: two workers with a thread pool each would fight over the cores.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
os.environ.setdefault("MPLBACKEND", "Agg")
# Half the suite is compiling, which takes twice as long with -O1; `make smoke` runs the tests of
# the kernels again with the flags that users have, and speed is measured by benchmarks.
os.environ.setdefault("SYMDA_CFLAGS", "-O0")
# A shell starts what runs in its background deaf to Ctrl-C, which some tests press.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile(
    "default",
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("ci", settings.get_profile("default"), max_examples=50, print_blob=True)
profile = os.environ.get("HYPOTHESIS_PROFILE", "ci" if "CI" in os.environ else "default")
settings.load_profile(profile)


def translated(folder: Path, name: str) -> bool:
    """Translate Cython in this process, to the same C as the command makes; False if that fails."""
    from Cython.Compiler import Options
    from Cython.Compiler.Main import CompilationOptions, compile

    into = {"module_name": name, "output_file": f"{name}.c"}
    options = CompilationOptions(Options.default_options, language_level=3, **into)
    with contextlib.chdir(folder), contextlib.redirect_stderr(io.StringIO()):
        try:
            return compile(f"{name}.pyx", options).num_errors == 0
        except Exception:
            return False


@pytest.fixture(scope="session", autouse=True)
def warm_cython() -> Iterator[None]:
    """Keep Cython in this process: it takes most of a second to start, and hundreds of builds do.

    What it cannot translate goes the usual way, for the message. So does what is built ahead in
    another thread: a process has one working folder, and that thread would leave it in another's.
    """
    from symda.build import compile

    def run(tool: str, command: tuple[str, ...], folder: Path, *where: object) -> None:
        here = threading.current_thread() is threading.main_thread()
        if tool != "Cython" or not here or not translated(folder, str(where[-1])):
            usual(tool, command, folder, *where)

    usual, patch = compile._run, pytest.MonkeyPatch()
    patch.setattr(compile, "_run", run)
    yield
    patch.undo()


@pytest.fixture
def uncompiled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Save the time to compile where the numbers are the point; not of what is marked compiled."""
    from symda.api import VirtualMachineWarning

    if request.node.get_closest_marker("compiled"):
        yield
        return
    monkeypatch.setenv("SYMDA_CC", "none")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VirtualMachineWarning)
        yield
