"""What a run's dataset must hold, so that whatever reads a loaded one can rely on it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from numbers import Integral, Real
from typing import TYPE_CHECKING

import numpy as np

from symda.anneal.apart import OWN, apart, wrong_parts
from symda.covariance import correlations
from symda.names import is_name
from symda.status import Status
from symda.types import FloatArray

if TYPE_CHECKING:
    import xarray as xr

#: Variable -> dimensions and kinds of NumPy types: f numbers, i whole ones, b truth, U text. More
#: variables may be there.
VARIABLES = {
    "action": ("path beta", "f"),
    "measurement_term": ("path beta", "f"),
    "model_term": ("path beta", "f"),
    "seconds": ("path beta", "f"),
    "iterations": ("path beta", "i"),
    "evaluations": ("path beta", "i"),
    "status": ("path beta", "i"),
    "message": ("path", "U"),
    "parameters": ("path beta parameter", "f"),
    "states": ("path time state", "f"),
    "momenta": ("path step component", "f"),
    "fit": ("path time channel", "f"),
    "last_beta": ("path", "i"),
    "observed": ("time channel", "f"),
    "variance": ("time channel", "f"),
    "measured_state": ("channel", "i"),
    "path": ("path", "i"),
    "attempt": ("path", "i"),
    "beta": ("beta", "i"),
    "rf": ("beta state", "f"),
    "time": ("time", "f"),
    "state": ("state", "U"),
    "parameter": ("parameter", "U"),
    "channel": ("channel", "U"),
    "fixed": ("parameter", "b"),
}
#: Those that not every run has.
OPTIONAL = {
    "states_by_beta": ("path beta time state", "f"),
    "per_step": ("state", "b"),
    "decrement": ("path", "f"),
    "place": ("path", "i"),
    "state_sd": ("time state", "f"),
    "state_low": ("time state", "f"),
    "state_high": ("time state", "f"),
    "covariance": ("time channel other_channel", "f"),
    "residuals": ("time channel", "f"),
    "repeated_residuals": ("repeat channel", "f"),
    "repeat_point": ("repeat", "i"),
    "repeated": ("repeat channel", "f"),
    "state_scale": ("state", "U"),
    "parameter_scale": ("parameter", "U"),
    "experiment": ("experiment", "U"),
    "kernel_parameter": ("kernel_parameter", "U"),
    "use": ("experiment kernel_parameter", "i"),
    "points": ("experiment", "i"),
    "steps": ("experiment", "i"),
    "relative_rf": ("beta", "f"),
    "kind": ("path", "U"),
    "solution_path": ("solution", "i"),
    "solution_climbed": ("solution", "f"),
    "solution_errors": ("solution", "f"),
    "solution_place": ("solution", "i"),
    "solution_action": ("solution", "f"),
    "solution_status": ("solution", "i"),
    "solution_message": ("solution", "U"),
    "solution_integrations": ("solution", "i"),
    "solution_seconds": ("solution", "f"),
}
#: Those of paths that were finished, all or none; what older files lack is not asked for.
SOLUTION = tuple(
    name for name in OPTIONAL if name.startswith("solution_") and name != "solution_errors"
)
KINDS = {"f": "floating-point numbers", "i": "whole numbers", "b": "truth values", "U": "text"}

#: Attributes -> what they are.
ATTRIBUTES: Mapping[str, type] = {
    "model": str,
    "scheme": str,
    "solver": str,
    "start": str,
    "strategy": str,
    "interrupted": Integral,
    "measurement_scale": Real,
    "data_count": Integral,
    "fitted": Integral,
    "provenance": str,
}
FURTHER = ("averaging", "model_error", "error_correlations", "kernels", "command", "binding")
#: Settings of the provenance -> what they are, where they are there and not null.
SETTINGS: Mapping[str, tuple[type, ...]] = {
    "alpha": (Real,),
    "relative": (Real,),
    "rungs": (Integral,),
    "paths": (Integral,),
    "seed": (Integral,),
    "workers": (Integral,),
    "stop_after": (Integral,),
    "time_limit": (Real,),
    "solver_options": (dict,),
    "start_options": (dict,),
    "strategy_options": (dict,),
}
#: Those that become arguments of a call in reports.
CALLED = frozenset({"start_options", "strategy_options"})
GRID = frozenset({"steps", "max_step", "midpoint_data", "fixed"})


def missing(dataset: xr.Dataset) -> list[str]:
    """Return the variables and attributes that a run has and `dataset` has not."""
    several = OWN if "experiment" in dataset.variables else ()
    absent = [name for name in (*VARIABLES, *several) if name not in dataset.variables]
    return absent + [name for name in ATTRIBUTES if name not in dataset.attrs]


def wrong(dataset: xr.Dataset) -> str:
    """Return the first thing in a dataset with all variables that no run has, or nothing."""
    for found in (_shapes, _values, _attributes, _texts):
        for what in found(dataset):
            return what
    return ""


def _shapes(dataset: xr.Dataset) -> Iterator[str]:
    for name, (dims, kind) in (VARIABLES | OPTIONAL).items():
        if name in dataset.variables:
            variable = dataset.variables[name]
            if variable.dims != tuple(dims.split()):
                yield f"{name} has the dimensions {variable.dims}, expected {tuple(dims.split())}"
            if variable.dtype.kind != kind:
                yield f"{name} holds the type {variable.dtype}, expected {KINDS[kind]}"
    for name in ("path", "beta", "time", "state", "channel"):
        if not dataset.sizes.get(name):
            yield f"there is no {name}"


def _values(dataset: xr.Dataset) -> Iterator[str]:
    rungs, D = dataset.sizes["beta"], dataset.sizes["state"]
    for name, low, high in (
        ("status", 0, len(Status) - 1),
        ("last_beta", -1, rungs - 1),
        ("measured_state", -1, D - 1),
    ):
        values = dataset[name].values
        if values.min() < low or values.max() > high:
            outside = values[(values < low) | (values > high)].flat[0]
            yield f"{name} holds {outside}, expected {low} to {high}"
    for name in ("path", "beta"):
        if not np.array_equal(dataset[name].values, np.arange(dataset.sizes[name])):
            yield f"{name} does not count from 0"
    for name in ("state", "parameter", "channel", "experiment", "kernel_parameter"):
        if name not in dataset.variables:
            continue
        names = dataset[name].values.tolist()
        if len(set(names)) < len(names):
            yield f"{name} has a name twice"
        for text in names:
            if not is_name(text):
                yield f"{name} holds {text!r}, which is no name"
    yield from filter(None, [wrong_parts(dataset)])
    for _, one in apart(dataset):
        times = one["time"].values
        # a time is there twice where a pulse enters
        rises = (np.diff(times) >= 0.0).all() and times[-1] > times[0]
        if not (np.isfinite(times).all() and rises):
            yield "time does not increase"
    if "covariance" in dataset.variables:
        yield from _covariance(dataset["covariance"].values)
    yield from _solutions(dataset)
    rf = dataset["rf"].values
    if not (np.isfinite(rf).all() and (rf >= 0.0).all()):
        yield "rf holds a number that is no precision"


def _solutions(dataset: xr.Dataset) -> Iterator[str]:
    """Look at what says which paths were finished."""
    chosen = dataset.attrs.get("chosen_solution", -1)
    count = dataset.sizes.get("solution", 0)
    if not (isinstance(chosen, Integral) and -1 <= int(chosen) < max(count, 0)):
        yield f"the attribute chosen_solution is {chosen!r}, and there are {count} solutions"
    if count:
        absent = [name for name in SOLUTION if name not in dataset.variables]
        if absent:
            yield f"{absent[0]} is missing of what was finished"
            return
        paths = dataset["solution_path"].values
        if paths.min() < 0 or paths.max() >= dataset.sizes["path"]:
            yield "solution_path holds a number that is no path's"


def _covariance(values: FloatArray) -> Iterator[str]:
    """Look at the covariances (T, L, L) of the data's noise; residuals are in units of it."""
    if values.shape[1] != values.shape[2]:
        yield f"covariance has the shape {values.shape}, which is of no square matrices"
        return
    variance = np.diagonal(values, axis1=1, axis2=2)
    present = ~np.isnan(variance)
    both = present[:, :, None] & present[:, None, :]
    if not np.isfinite(values[both]).all() or (variance <= 0.0).any():
        yield "covariance holds a number that no covariance has"
    elif (np.linalg.eigvalsh(correlations(values, present)[0]) <= 0.0).any():
        yield "covariance holds a matrix that is not positive definite"


def _attributes(dataset: xr.Dataset) -> Iterator[str]:
    for name, kind in ATTRIBUTES.items():
        if not isinstance(dataset.attrs[name], kind):
            yield f"the attribute {name} is {dataset.attrs[name]!r}"
    for name in FURTHER:
        if not isinstance(dataset.attrs.get(name, ""), str):
            yield f"the attribute {name} is {dataset.attrs[name]!r}"
    for name in ("model", "scheme", "solver", "start", "strategy"):
        if not is_name(dataset.attrs[name]):
            yield f"the attribute {name} is {dataset.attrs[name]!r}, which is no name"
    told = dataset.attrs.get("told", "[]")
    lines = _json(told) if isinstance(told, str) else None
    if not (isinstance(lines, list) and all(isinstance(line, str) for line in lines)):
        yield f"the attribute told is {told!r}"
    texts = (text for text in dataset.attrs.values() if isinstance(text, str))
    for text in (*texts, *dataset["message"].values.tolist()):
        if not text.isascii() and text != text.encode("utf-8", "replace").decode("utf-8"):
            yield f"the text {text!r} is no Unicode"
    scale = float(dataset.attrs["measurement_scale"])
    if not (np.isfinite(scale) and scale > 0.0):
        yield f"the attribute measurement_scale is {scale}, expected a number larger than zero"


def _texts(dataset: xr.Dataset) -> Iterator[str]:
    """Look at what attributes say: reports show them as commands to be run again."""
    record = _json(dataset.attrs["provenance"])
    settings = record.get("settings") if isinstance(record, Mapping) else None
    if not isinstance(record, Mapping) or not isinstance(settings, Mapping):
        yield "the attribute provenance is no JSON with the settings of a run"
        return
    if not isinstance(record.get("climb_seconds", 0.0), Real):
        yield f"the provenance's climb_seconds is {record['climb_seconds']!r}"
    if not isinstance(record.get("versions", {}), Mapping):
        yield f"the provenance's versions are {record['versions']!r}"
    for name, kinds in SETTINGS.items():
        value = settings.get(name)
        if value is not None and not isinstance(value, kinds):
            yield f"the provenance's setting {name} is {value!r}"
        if name in CALLED and isinstance(value, Mapping) and not all(map(str.isidentifier, value)):
            yield f"the provenance's setting {name} has names that are none"
    binding = _json(dataset.attrs.get("binding", "null"))
    if binding is not None and not (isinstance(binding, Mapping) and set(binding) <= GRID):
        yield f"the attribute binding is {dataset.attrs['binding']!r}"
    command = dataset.attrs.get("command", "")
    if command and not _is_command(command):
        yield f"the attribute command is {command!r}, which does not run only symda"


def _json(text: str) -> object:
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value


def _is_command(text: str) -> bool:
    """Whether a shell reads the text as one call of symda, each word quoted where needed."""
    try:
        words = shlex.split(text)
    except ValueError:
        return False
    return words[:1] == ["symda"] and shlex.join(words) == text
