"""What every test shares: one thread a process, how many examples Hypothesis draws, fixtures."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# Before any test imports NumPy: two workers with a thread pool each would fight over the cores.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
os.environ.setdefault("MPLBACKEND", "Agg")
# Half the suite is compiling; speed is measured by benchmarks.
os.environ.setdefault("SYMDA_CFLAGS", "-O1")
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


@pytest.fixture
def uncompiled(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Save the time to compile where the numbers are the point."""
    from symda.api import VirtualMachineWarning

    monkeypatch.setenv("SYMDA_CC", "none")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VirtualMachineWarning)
        yield
