"""What people pass and have on disk: odd names, odd options, damaged files; for `fuzz.py`."""

from __future__ import annotations

import math
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from fuzz_models import NAMES, Finding, Rng, pick

import symda as sd


def names(rng: Rng) -> None:
    """Names that languages and formats could trip over, from symbols to reports."""
    chosen = [str(n) for n in rng.choice(NAMES, size=4, replace=False)]
    if rng.random() < 0.3:
        chosen[0] = "".join(chr(int(c)) for c in rng.integers(32, 0x2FFF, size=3))
    a, b, k, name = chosen
    x, y, p = sd.state(a, start=(-1, 1)), sd.state(b, start=(-1, 1)), sd.parameter(k, start=(0, 1))
    action = sd.Action(sd.Model({x: y, y: -p * x}, name=name), [x])
    assert action.emitted.text
    str(action.equations()), action.equations().latex(), action.equations().mathml()
    _, data = sd.twin(action, parameters={k: 1.0}, dt=0.1, steps=6, variance=0.01, seed=0,
                      initial=[1.0, 0.0])  # fmt: skip
    run = sd.anneal(action, data, ladder=sd.Ladder(rungs=2), paths=1, executor="serial",
                    progress=False, solver="newton")  # fmt: skip
    str(run), run.summary() if hasattr(run, "summary") else None, run.table()
    with tempfile.TemporaryDirectory() as folder:
        run.save(Path(folder) / "r.nc")
        sd.load(Path(folder) / "r.nc")
        for suffix in (".html", ".md", ".tex"):
            action.report(Path(folder) / f"r{suffix}")


def files(rng: Rng) -> None:
    """Damaged CSV and NetCDF files of data, and of runs."""
    kind = pick(rng, "csv", "csv", "nc", "run")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"d.{'csv' if kind == 'csv' else 'nc'}"
        if kind == "csv":
            rows = ["t,x,y", *(f"{0.1 * i:.2f},{math.sin(i)},{i}" for i in range(12))]
            content = "\n".join(rows).encode()
        else:
            content = _netcdf(kind == "run")
        broken = bytearray(content)
        for _ in range(int(rng.integers(1, 6))):
            how, i = rng.integers(4), int(rng.integers(len(broken)))
            if how == 0:
                broken[i] = int(rng.integers(256))
            elif how == 1:
                del broken[i : i + int(rng.integers(1, 200 if kind != "csv" else 8))]
            elif how == 2:
                broken[i:i] = bytes(rng.choice([44, 10, 34, 0, 46, 101, 45, 255], size=3).tolist())
            else:
                broken[i : i + 8] = broken[:8]
            if not broken:
                break
        path.write_bytes(bytes(broken))
        try:
            if kind == "csv":
                sd.Observations.from_csv(path, variance=1.0)
            elif kind == "nc":
                sd.Observations.from_netcdf(path, variance=1.0)
            else:
                run = sd.load(path)
                str(run.verdict()), str(run), run.table()
        except sd.SymdaError:
            raise
        except Exception as error:
            kept = Path(tempfile.gettempdir()) / f"fuzz-{abs(hash(bytes(broken)))}{path.suffix}"
            kept.write_bytes(bytes(broken))
            raise Finding(f"{kind} file {kept}: {traceback.format_exc()}") from error


_FILES: dict[bool, bytes] = {}


def _netcdf(run: bool) -> bytes:
    if run not in _FILES:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "d.nc"
            x, k = sd.state("x", start=(0, 1)), sd.parameter("k", start=(0, 1))
            action = sd.Action(sd.Model({x: -k * x}, name="decay"), [x])
            _, data = sd.twin(action, parameters={"k": 1.0}, dt=0.1, steps=12, variance=0.01,
                              seed=0, initial=[1.0])  # fmt: skip
            if run:
                sd.anneal(action, data, ladder=sd.Ladder(rungs=3), paths=2, solver="newton",
                          executor="serial", progress=False).save(path)  # fmt: skip
            else:
                import xarray as xr

                xr.Dataset(
                    {"x": ("time", data.values[:, 0])}, coords={"time": data.times}
                ).to_netcdf(path)
            _FILES[run] = path.read_bytes()
    return _FILES[run]


#: What somebody may pass instead of what is expected.
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 3, 1e-300, 1e300, math.inf, -math.inf, math.nan, 10**400),
    *("", "x", "rk4", "none", b"x", 1j, [], {}, (), [1.0], [1.0, 2.0], [math.nan], {"x": 1.0}),
    *({"k": math.nan}, {1: 2}, np.array([]), np.array(1.0), np.zeros((2, 2)), object(), len, sd),
    *(np.array(["a"]), np.array([None]), np.float32(1.5), [[1, 2], [3]], (1, 0), (0, 1), "1.0"),
)


def options(rng: Rng) -> None:
    """Odd values for every argument of the public calls."""
    x, k = sd.state("x", start=(0, 1)), sd.parameter("k", bounds=(0, 3), start=(0, 1))
    action = sd.Action(sd.Model({x: -k * x}, name="decay"), [x])
    times = 0.1 * np.arange(5.0)
    data = sd.Observations(times, np.exp(-times), variance=0.01)
    fast = {"ladder": sd.Ladder(rungs=2), "paths": 2, "executor": "serial", "progress": False,
            "solver": "newton", "time_limit": 5.0}  # fmt: skip
    some = ODD[rng.integers(len(ODD))]
    other = ODD[rng.integers(len(ODD))]
    calls: dict[str, Callable[[str, Any], Any]] = {
        "state": lambda n, v: sd.state(**{"name": "x"} | {n: v}),
        "parameter": lambda n, v: sd.parameter(**{"name": "k"} | {n: v}),
        "Ladder": lambda n, v: sd.Ladder(**{n: v}),
        "Observations": lambda n, v: sd.Observations(
            **{"times": times, "values": times, "variance": 1.0} | {n: v}
        ),
        "Samples": lambda n, v: sd.Samples(**{"times": times, "values": times} | {n: v}),
        "Action": lambda n, v: sd.Action(**{"model": action.model, "measured": [x]} | {n: v}),
        "Model": lambda n, v: sd.Model(**{"equations": {x: -x}, "name": "a"} | {n: v}),
        "bind": lambda n, v: action.bind(**{"data": data} | {n: v}),
        "anneal": lambda n, v: sd.anneal(**{"action": action, "data": data} | fast | {n: v}),
        "simulate": lambda n, v: sd.simulate(
            **{"model": action.model, "times": times, "initial": [1.0], "parameters": [1.0]}
            | {n: v}
        ),
        "twin": lambda n, v: sd.twin(
            action, **{"parameters": {"k": 1.0}, "dt": 0.1, "steps": 5, "variance": 0.1, "seed": 0}
            | {n: v},
        ),
        "integrate": lambda n, v: sd.integrate(
            action.model, **{"times": times, "initial": [1.0], "parameters": [1.0],
                             "method": "rk4", "step": 0.1} | {n: v},
        ),
    }  # fmt: skip
    arguments = {
        "state": "name bounds start scale",
        "parameter": "name bounds start value typical per process_variance scale",
        "Ladder": "rf0 alpha rungs relative",
        "Observations": "times values variance channels forcing",
        "Samples": "times values rule", "Action": "model measured scheme model_error averaging",
        "Model": "equations name discrete",
        "bind": "data steps max_step start stop midpoint_data fixed",
        "anneal": "data ladder paths seed solver options start strategy attempts fixed steps "
        "max_step executor workers keep time_limit stop_after midpoint_data",
        "simulate": "model times initial parameters forcing method rtol atol",
        "twin": "parameters dt steps variance seed initial discard",
        "integrate": "times initial parameters method step",
    }  # fmt: skip
    call = pick(rng, *calls)
    name = pick(rng, *arguments[call].split())
    if rng.random() < 0.2:
        some = [some, other]
    if name in ("paths", "rungs", "steps", "attempts", "workers") and isinstance(some, float):
        some = min(some, 3.0)
    try:
        calls[call](name, some)
    except sd.SymdaError as error:
        if len(str(error)) < 20:
            raise Finding(f"{call}({name}={some!r}): the message is {error}") from error
        raise
    except Exception as error:
        raise Finding(f"{call}({name}={some!r}): {traceback.format_exc()}") from error
