"""Synthetic datasets of runs, in the form `docs/architecture.md` fixes, for numbers and plots."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

NOT_RUN, CONVERGED, ACCEPTABLE, STOPPED, FAILED = range(5)


@dataclass(frozen=True)
class Case:
    """What a synthetic run looks like; `ends` are the actions of its paths at the last rung."""

    ends: Sequence[float] = (20.0, 20.004, 35.0)
    rungs: int = 6
    D: int = 3
    N: int = 10
    measured: Sequence[int] = (0, 2)  # -1: an expression
    parameters: Mapping[str, bool] | None = None  # name -> fixed
    gaps: bool = False
    failed: Mapping[int, int] | None = None  # path -> rung at which it fails
    stopped: Mapping[int, int] | None = None  # path -> rungs done before an interruption
    scale: float = 1.0
    per_state_rf: bool = False
    statuses: Mapping[int, int] | None = None  # path -> status of its last rung
    stop_after: int | None = None
    attempts: Sequence[int] | None = None  # the attempt each path belongs to; its own by default


def make_run(case: Case | None = None) -> xr.Dataset:
    """Build the dataset; actions rise geometrically to `ends`, 3/4 of each measurement term."""
    case = case or Case()
    rng = np.random.default_rng(7)
    K, B, D, N, L = len(case.ends), case.rungs, case.D, case.N, len(case.measured)
    names = case.parameters if case.parameters is not None else {"nu": False, "k_fixed": True}
    P = len(names)
    rise = 2.0 ** -np.arange(B - 1, -1, -1)
    action = np.asarray(case.ends, dtype=float)[:, None] * rise
    status = np.full((K, B), CONVERGED, dtype=np.int8)
    message = [""] * K
    for k, rung in (case.failed or {}).items():
        action[k, rung:] = np.nan
        status[k, rung:] = NOT_RUN
        status[k, rung] = FAILED
        message[k] = f"step became tiny at rung {rung}"
    for k, done in (case.stopped or {}).items():
        action[k, done:] = np.nan
        status[k, done:] = NOT_RUN
    for k, code in (case.statuses or {}).items():
        status[k, np.flatnonzero(status[k])[-1]] = code
    time = 0.1 * np.arange(N + 1)
    truth = np.sin(time[:, None] + np.arange(D))
    states = truth + 0.02 * rng.standard_normal((K, N + 1, D))
    last = np.where(np.isfinite(action), np.arange(B), -1).max(axis=1, initial=-1)
    states[last < 0] = np.nan
    fit = np.stack([states[..., i] if i >= 0 else states.sum(-1) for i in case.measured], axis=-1)
    exact = [truth[:, i] if i >= 0 else truth.sum(-1) for i in case.measured]
    observed = np.stack(exact, axis=-1) + 0.1 * rng.standard_normal((N + 1, L))
    if case.gaps:
        observed[1::2] = np.nan
        observed[0, 0] = np.nan
    variance = np.where(np.isfinite(observed), 0.01, np.nan)
    values = 10.0 + np.arange(P) + 0.1 * np.arange(K)[:, None, None] + np.zeros((K, B, P))
    rf = 0.01 * 2.0 ** np.arange(B)[:, None] * (1.0 + case.per_state_rf * np.arange(D))
    n = int(np.isfinite(observed).sum())
    free = sum(not fixed for fixed in names.values())
    seconds = np.where(np.isfinite(action), 0.5, np.nan)
    done = np.where(np.isfinite(action), 12, 0)
    return xr.Dataset(
        {
            "action": (("path", "beta"), action),
            "measurement_term": (("path", "beta"), 0.75 * action),
            "model_term": (("path", "beta"), 0.25 * action),
            "seconds": (("path", "beta"), seconds),
            "iterations": (("path", "beta"), done),
            "evaluations": (("path", "beta"), done + 1),
            "status": (
                ("path", "beta"),
                status,
                {
                    "flag_values": np.arange(5, dtype=np.int8),
                    "flag_meanings": "not_run converged acceptable stopped failed",
                },
            ),
            "message": (("path",), np.array(message, dtype=object)),
            "parameters": (
                ("path", "beta", "parameter"),
                np.where(np.isfinite(action)[..., None], values, np.nan),
            ),
            "states": (("path", "time", "state"), states),
            "momenta": (("path", "step", "component"), np.zeros((K, N, D))),
            "fit": (("path", "time", "channel"), fit),
            "observed": (("time", "channel"), observed),
            "variance": (("time", "channel"), variance),
            "measured_state": (("channel",), np.asarray(case.measured, dtype=np.int64)),
            "last_beta": (("path",), last),
        },
        coords={
            "path": np.arange(K),
            "attempt": ("path", np.arange(K) if case.attempts is None else list(case.attempts)),
            "beta": np.arange(B),
            "rf": (("beta", "state"), rf),
            "time": time,
            "state": [f"x{i}" for i in range(D)],
            "parameter": np.array(list(names), dtype=object),
            "fixed": ("parameter", np.array(list(names.values()), dtype=bool)),
            "channel": [f"x{i}" if i >= 0 else f"h{j}" for j, i in enumerate(case.measured)],
        },
        attrs={
            "model": "toy",
            "scheme": "rk4",
            "solver": "ipopt",
            "start": "uniform",
            "strategy": "ladder",
            "averaging": "none",
            "model_error": "step",
            "measurement_scale": case.scale,
            "data_count": n,
            "fitted": D + free,
            "interrupted": int(bool(case.stopped)),
            "provenance": json.dumps(
                {
                    "seed": 3,
                    "versions": {"symda": "0.1", "numpy": "2.4"},
                    "seconds": 4.5,
                    "climb_seconds": 3.0,
                    "settings": {"workers": 2}
                    | ({"stop_after": case.stop_after} if case.stop_after else {}),
                }
            ),
        },
    )


CASES = {
    "plain": Case(),
    "one path": Case(ends=(12.0,)),
    "one rung": Case(rungs=1),
    "D = 1, N = 1": Case(D=1, N=1, measured=(0,)),
    "one path, one rung, one state": Case(ends=(1.0,), rungs=1, D=1, N=1, measured=(0,)),
    "L = D": Case(measured=(0, 1, 2)),
    "no parameters": Case(parameters={}),
    "fixed parameters only": Case(parameters={"a": True}),
    "gaps": Case(gaps=True),
    "an expression": Case(measured=(0, -1)),
    "failed path": Case(failed={0: 2}),
    "path failed at once": Case(failed={0: 0}),
    "unfinished": Case(stopped={1: 3, 2: 0}),
    "per-state Rf": Case(per_state_rf=True),
    "averaged": Case(scale=0.01),
    "not converged": Case(statuses={0: STOPPED, 1: STOPPED, 2: STOPPED}),
    "stopped after hits": Case(stop_after=2),
}


def through_file(dataset: xr.Dataset, folder: Path) -> xr.Dataset:
    """Save as NetCDF and load again."""
    file = folder / "run.nc"
    dataset.to_netcdf(file, engine="h5netcdf")
    with xr.open_dataset(file, engine="h5netcdf") as loaded:
        return loaded.load()


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_file_keeps_the_dataset(case: Case, tmp_path: Path) -> None:
    dataset = make_run(case)
    xr.testing.assert_equal(through_file(dataset, tmp_path), dataset)
