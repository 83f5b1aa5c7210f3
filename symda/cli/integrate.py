"""The command that integrates: initial values and options in, a trajectory and its plot out."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from symda.api import Trajectory
from symda.api.adaptive import ADAPTIVE
from symda.api.flow import integrate
from symda.checks import choice, number
from symda.cli.console import note, say
from symda.cli.files import ModelFile, read_model
from symda.cli.output import make_folder, writing
from symda.cli.parse import parse_values
from symda.declare import MechanicalModel, Model
from symda.errors import DataError, ModelError, OptionError, nearest
from symda.observe.forcing import as_forcing
from symda.show import energy_error
from symda.types import FloatArray

if TYPE_CHECKING:
    import xarray as xr
    from sympy import Expr

    from symda.observe.forcing import ForcingSource

#: Names of a message; the others are counted.
LISTED = 8
#: The shortest step, in units of what separates two numbers as large as the times.
FINEST = 16.0


def integrate_file(
    path: Path,
    into: Path,
    *,
    method: str | None,
    step: float,
    until: float,
    begin: float,
    points: int,
    initial: Sequence[str],
    parameters: Sequence[str],
    form: str,
) -> None:
    """Integrate the model of a file and write trajectory and figure.

    Raises
    ------
    ModelError, DataError, OptionError
        If the file or one of the options is wrong.
    """
    times = output_times(step, until, begin, points)
    choice(form, "--format", ("nc", "csv"))
    given_initial = parse_values(initial, "--initial")
    given_parameters = parse_values(parameters, "--parameter")
    file = read_model(path)
    model = file.model
    per_step = {w.name for w in model.per_step}
    start = _merge(
        file.initial,
        given_initial,
        [s.name for s in model.states if s.name not in per_step],
        "initial",
        file,
    )
    declared = {
        symbol.name: one.value
        for symbol, one in model.declarations.items()
        if one.value is not None
    }
    constants = _merge(
        file.parameters,
        given_parameters,
        [*(p.name for p in model.parameters), *per_step],
        "parameter",
        file,
        known=declared,
    )
    chosen = usual_method(model) if method is None else method
    energy = file.energy
    if energy is None and isinstance(model, MechanicalModel):
        energy = model.hamiltonian
    run = partial(
        integrate,
        model,
        initial=start,
        method=chosen,
        step=None if chosen == ADAPTIVE else step,
        parameters=constants,
        forcing=_forcing(file, times),
    )
    # no step yet: what is wrong is said before the work, and before there is a folder
    _energy(run(times[:1]), energy, path)
    make_folder(into)
    taken = f"a state every {step:g}" if chosen == ADAPTIVE else _steps(step, until, begin)
    say(f"{model.name}: {chosen}, {taken}")
    trajectory = run(times)
    along = _energy(trajectory, energy, path)
    written = into / f"trajectory.{form}"
    with writing(written):
        _write(written, trajectory, along, {"model": model.name, "method": chosen, "step": step})
    figure = into / "trajectory.png"
    trajectory.plot(
        figure, model=model, energy=file.energy, title=f"{model.name}: {chosen}, step {step:g}"
    )
    if along is None:
        note(
            "no energy: the model is not made from a Hamiltonian or Lagrangian. Define `energy` "
            f"in {path.name} to see how well it is kept."
        )
    elif file.energy is None and isinstance(model, MechanicalModel) and not model.conservative:
        note(
            "the energy is not constant: the model has forces, or its Hamiltonian changes in time."
        )
    else:
        off = energy_error(along)
        kind = "relative energy error" if float(along[0]) != 0.0 else "energy error"
        say(f"{kind}: largest {float(abs(off).max()):.3g}, at the end {float(off[-1]):.3g}")
    say(f"wrote {written}\nwrote {figure}")


def usual_method(model: Model) -> str:
    """Return the method that keeps what the model has to keep."""
    if not isinstance(model, MechanicalModel):
        return "rk4"
    return "verlet" if model.separable else "gauss4"


def output_times(step: float, until: float, begin: float, points: int) -> FloatArray:
    """Return the times to keep, multiples of the step except for the last; about `points` of them.

    Raises
    ------
    OptionError
        If they make no sense.
    """
    number(step, "--step", kind="positive")
    for name, value in (("--until", until), ("--from", begin)):
        number(value, name)
    if until <= begin:
        raise OptionError(f"--until: expected a time after --from {begin:g}, got {until:g}.")
    if step > until - begin:
        raise OptionError(
            f"--step {step:g} is longer than the whole time from {begin:g} to {until:g}."
        )
    if points < 2:
        raise OptionError(f"--points: expected at least 2, got {points}.")
    far = max(begin, until, key=abs)
    shortest = FINEST * float(np.spacing(abs(far)))
    if step < shortest or math.isinf(until - begin):
        raise OptionError(
            f"--step {step:g} is lost in the rounding of times as large as {far:g}: take a step "
            f"of at least {1.1 * shortest:.2g}, or times nearer to 0."
        )
    full, rest = _divided(step, until, begin)
    kept = begin + step * np.arange(0, full, math.ceil(full / (points - 1)))
    return np.append(kept, [begin + step * full, until] if rest else until)


def _divided(step: float, until: float, begin: float) -> tuple[int, float]:
    """Return how many whole steps there are, and what is left for the last."""
    rounding = 2.0 * float(np.spacing(max(abs(begin), abs(until))))
    full = math.floor((until - begin + rounding) / step)
    rest = until - begin - full * step
    return full, rest if rest > rounding else 0.0


def _steps(step: float, until: float, begin: float) -> str:
    full, rest = _divided(step, until, begin)
    said = f"{full} step{'s' * (full > 1)} of {step:g}"
    return f"{said} and one of {rest:.3g}" if rest else said


def _energy(trajectory: Trajectory, energy: Expr | None, path: Path) -> xr.DataArray | None:
    try:
        return None if energy is None else trajectory.evaluate(energy)
    except ModelError as error:
        _, _, what = str(error).partition(": ")
        raise ModelError(f"{path.name}, energy: {what}") from error


def _forcing(file: ModelFile, times: FloatArray) -> dict[str, ForcingSource]:
    found = as_forcing(file.forcing, times)
    missing = [u.name for u in file.model.forcing if u.name not in found]
    if missing:
        example = ", ".join(f"{name!r}: 0.0" for name in missing[:LISTED])
        raise OptionError(
            f"no values for the forcing {_listed(missing)}. Define `forcing` in {file.path.name}: "
            f"numbers, symda.Samples or expressions in time, for instance forcing = {{{example}}}."
        )
    return found


def _listed(names: Sequence[str]) -> str:
    more = len(names) - LISTED
    return ", ".join(names[:LISTED]) + (f" and {more} more" if more > 0 else "")


def _merge(
    of_file: object,
    given: Mapping[str, float],
    names: Sequence[str],
    kind: Literal["initial", "parameter"],
    file: ModelFile,
    *,
    known: Mapping[str, float] | None = None,
) -> dict[str, float]:
    """Join the values of MODEL.py and of the command line; the latter replace the former."""
    variable = "initial" if kind == "initial" else "parameters"
    what = "state" if kind == "initial" else "parameter"
    values: dict[str, float] = dict(known or {})
    values |= _named(of_file, names, variable, file)
    for name in (*values, *given):
        if name not in names:
            where = f"--{kind}" if name in given else f"{file.path.name}: `{variable}`"
            raise OptionError(
                f"{where}: {name!r} is not a {what} of {file.model.name!r}, which has "
                f"{_listed(names) or 'none'}.{nearest(name, names)}"
            )
    values |= given
    missing = [name for name in names if name not in values]
    if missing:
        every = " ".join(f"--{kind} {name}=..." for name in missing)
        fix = f"Pass {every}, or define `{variable}` in {file.path.name}."
        if len(missing) > LISTED:
            symbols = "states" if kind == "initial" else "parameters"
            fix = (
                f"Define them in {file.path.name}, for instance: "
                f"{variable} = {{s.name: 0.0 for s in model.{symbols}}}"
            )
        raise OptionError(
            f"no value for the {what}{'s' * (len(missing) > 1)} {_listed(missing)}. {fix}"
        )
    return {name: values[name] for name in names}


def _named(
    values: object, names: Sequence[str], variable: str, file: ModelFile
) -> dict[str, float]:
    if values is None:
        return {}
    where = f"{file.path.name}: `{variable}`"
    if isinstance(values, Mapping):
        pairs: Iterable[tuple[object, object]] = values.items()
    elif isinstance(values, Sequence | np.ndarray) and not isinstance(values, str):
        if len(values) != len(names):
            raise DataError(
                f"{where} has {len(values)} values, expected {len(names)}, for {_listed(names)}."
            )
        pairs = zip(names, values, strict=True)
    else:
        raise ModelError(
            f"{where} is {type(values).__name__}, expected a mapping of names to numbers."
        )
    found: dict[str, float] = {}
    for name, value in pairs:
        try:
            found[str(name)] = float(value)  # type: ignore[arg-type]  # what is no number is said so
        except (TypeError, ValueError, OverflowError):
            raise DataError(f"{where}: expected a number for {name}, got {value!r}.") from None
    return found


def _write(
    path: Path,
    trajectory: Trajectory,
    energy: xr.DataArray | None,
    attributes: Mapping[str, str | float],
) -> None:
    """Write NetCDF, or a CSV file with a column for time, each state and the energy."""
    import pandas as pd

    states = trajectory.states
    if path.suffix == ".csv":
        columns = {"t": trajectory.times}
        columns |= {str(name): states.sel(state=name).values for name in states["state"].values}
        if energy is not None and "energy" not in columns:
            columns["energy"] = energy.values
        pd.DataFrame(columns).to_csv(path, index=False, float_format="%.17g", na_rep="nan")
        return
    dataset = states.to_dataset(name="states")
    if energy is not None:
        dataset["energy"] = energy.drop_attrs()
        dataset["energy"].attrs = {"expression": str(energy.attrs["expression"])}
    dataset.attrs = {**attributes, "parameters": json.dumps(dict(trajectory.parameters))}
    dataset.to_netcdf(path, engine="h5netcdf")
