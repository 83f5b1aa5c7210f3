"""What a user of DAPPER would write without symda: ensemble and iterative smoothers of Lorenz-96.

Settings are those that were best of several on data of other seeds: 40 members, square-root filters
with rotations, inflation 1.02, or that of the finite-size form. Raanes and others, DAPPER: Data
Assimilation with Python, 2024.
"""

from __future__ import annotations

import contextlib
import io
import time
import warnings
from typing import Any

import numpy as np

with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
    warnings.simplefilter("ignore")
    import dapper.da_methods as da
    import dapper.mods as modelling
    from dapper.mods import Lorenz96
    from dapper.tools.seeding import set_seed


def methods(*, real: bool) -> dict[str, Any]:
    """Return what is compared, by name."""
    lags = (10, 20) if real else (2,)
    found = {
        "EnKF": da.EnKF("Sqrt", N=40, infl=1.02, rot=True),
        "EnKF-N": da.EnKF_N(N=40, rot=True),
        "EnKS": da.EnKS("Sqrt", N=40, infl=1.02, rot=True, Lag=lags[0]),
    }
    for lag in lags:
        found[f"IEnKS, lag {lag}"] = da.iEnKS("Sqrt", N=40, Lag=lag, infl=1.02, rot=True)
        found[f"IEnKS-N, lag {lag}"] = da.iEnKS("Sqrt", N=40, Lag=lag, xN=1.0, rot=True)
    return found


def assimilated(
    method: Any, truth: np.ndarray, data: np.ndarray, dt: float, mean: np.ndarray
) -> tuple[np.ndarray, float]:
    """Return rms errors of the analyses by cycle, and ms of CPU time a cycle.

    Parameters
    ----------
    truth : (K + 1, D)
    data : (K, L)
        Of every other state, noise of variance 1, at the times dt, 2 dt, ..
    mean : (D,)
        What is known at time 0, with variance 1.
    """
    D, cycles = truth.shape[1], len(data)
    chronology = modelling.Chronology(dt, dko=1, K=cycles, BurnIn=0)
    dynamics = {"M": D, "model": Lorenz96.step, "linear": Lorenz96.dstep_dx, "noise": 0}
    seen = modelling.partial_Id_Obs(D, np.arange(0, D, 2))
    seen["noise"] = 1
    first = modelling.GaussRV(mu=mean, C=1.0)
    problem = modelling.HiddenMarkovModel(dynamics, seen, chronology, first)
    set_seed(1)
    began = time.process_time()
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        method.assimilate(problem, truth, data, liveplots=False)
    took = time.process_time() - began
    return np.asarray(method.stats.err.rms.a), 1e3 * took / cycles
