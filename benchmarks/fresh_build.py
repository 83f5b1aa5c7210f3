"""Seconds from declaring Lorenz-96 to loaded kernels, in this process, imports not counted.

Arguments: number of states; ``kernels``, ``newton`` (only its own module, the kernels being built)
or ``sites`` (the same model written as a stencil). One number is printed.
"""

from __future__ import annotations

import sys
import time

import casadi  # noqa: F401 - the clock starts after heavy imports
import Cython  # noqa: F401
import jinja2  # noqa: F401
import numpy  # noqa: F401
import scipy.sparse  # noqa: F401
import sympy  # noqa: F401
from common import lorenz96, lorenz96_sites

from symda.build import build


def seconds(D: int, what: str) -> float:
    """Build, and say how long it took."""
    declare = lorenz96_sites if what == "sites" else lorenz96
    started = time.perf_counter()
    action = declare(D, range(0, D - 1, 3))
    kernels = action.compile()
    if kernels.kind != "compiled":
        sys.exit("There is no compiler, so there is no build to time; see `symda doctor`.")
    if what == "kernels":
        _ = kernels.machine.functions  # loaded for CasADi too
    elif what == "newton":
        started = time.perf_counter()
        build(action.emitted_newton)
    return time.perf_counter() - started


if __name__ == "__main__":
    print(seconds(int(sys.argv[1]), sys.argv[2]))
