"""Seconds from declaring Lorenz-96 to loaded kernels, in this process, imports not counted."""

from __future__ import annotations

import sys
import time

import casadi  # noqa: F401 - the clock starts after heavy imports
import Cython  # noqa: F401
import jinja2  # noqa: F401
import numpy  # noqa: F401
import scipy.sparse  # noqa: F401
import sympy  # noqa: F401
from common import lorenz96

import symda  # noqa: F401

if __name__ == "__main__":
    D = int(sys.argv[1])
    started = time.perf_counter()
    kernels = lorenz96(D, range(0, D - 1, 3)).compile()
    _ = kernels.machine.functions  # loaded for CasADi too
    print(time.perf_counter() - started)
    if kernels.kind != "compiled":
        sys.exit("There is no compiler, so there is no build to time; see `symda doctor`.")
