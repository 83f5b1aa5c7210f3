"""What every test shares: one thread a process, how many examples Hypothesis draws, fixtures."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from warm_cython import Translator

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


@pytest.fixture(scope="session", autouse=True)
def warm_cython() -> Iterator[None]:
    """Translate Cython in a process where it is loaded already.

    What it cannot translate goes the usual way, for the message.
    """
    from symda.build import compile

    def run(tool: str, command: tuple[str, ...], folder: Path, *where: object) -> None:
        if tool != "Cython" or not translator.translated(folder, str(where[-1])):
            usual(tool, command, folder, *where)

    usual, patch, translator = compile._run, pytest.MonkeyPatch(), Translator()
    patch.setattr(compile, "_run", run)
    yield
    patch.undo()
    translator.close()


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
