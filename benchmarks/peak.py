"""What one core can do at best: a loop of independent fused multiply-adds, timed."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
import time
from pathlib import Path

CHAINS = 16
#: Widths are tried, since some processors slow down for the widest.
WIDTHS = (8, 4, 2)
SOURCE = """
typedef double real __attribute__((vector_size(8*%(width)d)));
double loop(long turns) {
    real x[%(chains)d], a = {0}, b = {0}, sum = {0};
    for (int i = 0; i < %(width)d; i++) { a[i] = 0.999999; b[i] = 1e-6; }
    for (int k = 0; k < %(chains)d; k++) x[k] = b*(double)k;
    for (long n = 0; n < turns; n++)
        for (int k = 0; k < %(chains)d; k++) x[k] = x[k]*a + b;
    for (int k = 0; k < %(chains)d; k++) sum += x[k];
    double total = 0;
    for (int i = 0; i < %(width)d; i++) total += sum[i];
    return total;
}
"""


def peak(turns: int = 2_000_000, repeats: int = 5) -> float | None:
    """Most Gflop/s of doubles that this core reached; None without gcc."""
    best = 0.0
    for width in WIDTHS:
        with tempfile.TemporaryDirectory() as folder:
            source, library = Path(folder, "peak.c"), Path(folder, "peak.so")
            source.write_text(SOURCE % {"width": width, "chains": CHAINS}, encoding="utf-8")
            command = ["gcc", "-O3", "-march=native", "-ffp-contract=fast", "-funroll-loops"]
            command += ["-Wno-psabi", "-fPIC", "-shared", str(source), "-o", str(library)]
            try:
                subprocess.run(command, check=True, capture_output=True)
            except (OSError, subprocess.CalledProcessError):
                return None
            loop = ctypes.CDLL(str(library)).loop
        loop.restype, loop.argtypes = ctypes.c_double, [ctypes.c_long]
        for _ in range(repeats):
            started = time.process_time()
            loop(turns)
            elapsed = time.process_time() - started
            best = max(best, 2.0 * width * CHAINS * turns / elapsed / 1e9)
    return best


if __name__ == "__main__":
    print(peak())
