"""What the command line reads: MODEL.py and DATA."""

from __future__ import annotations

import ast
import difflib
import math
import runpy
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from numpy.typing import ArrayLike
from sympy import Expr

from symda.api import Action
from symda.api.network import NetworkAction, network_action
from symda.cli.console import note
from symda.declare import Model
from symda.declare.network import Network
from symda.errors import DataError, ModelError, OptionError, nearest
from symda.observe import Experiments, Observations
from symda.observe.forcing import ForcingInput

NETCDF = frozenset({".nc", ".nc4", ".cdf", ".netcdf", ".h5", ".hdf5"})

#: What a separator may be called: a shell has no key for it.
SEPARATORS = {"tab": "\t", "\\t": "\t"}
#: What a model's file is called; nothing else is run.
PYTHON = ".py"

#: What it may say of the action, beside what is measured: its name there -> the option.
ACTION = {
    "scheme": "scheme",
    "model_error": "model_error",
    "averaging": "averaging",
    "matrix_free": "matrix_free",
    "correlated": "correlated",
    "error_correlations": "error_correlations",
    # `initial` is where an integration starts; data need not
    "exact_initial": "initial",
}

#: What else it may define, in the order of `ModelFile`.
FURTHER = ("variance", "initial", "parameters", "forcing", "energy", "covariance")

#: What a file whose model is a network may define: options of its action, and what it is fitted to.
NETWORK = ("averaging", "noise", "pairs")

#: Likeness from which on a name is taken for a slip, as `difflib` measures it.
NEAR = 0.75

Variance = float | Sequence[float] | Mapping[str, float]


@dataclass(frozen=True)
class Noise:
    """What is said of the noise of data: variances, or the covariance of all channels."""

    variance: Variance | None
    covariance: ArrayLike | None = None

    def of(self, action: Action) -> dict[str, Any]:
        """Return it as `Observations` takes it; both None if every channel's noise says its own.

        Raises
        ------
        OptionError
            If it is not known, or is of no channel.
        """
        channels = action.measurement.names
        if self.variance is None and self.covariance is None:
            if any(noise.needs_variance for noise in action.measurement.noises):
                raise OptionError(
                    "the noise variance of the data is not known: pass --variance 0.2 (or "
                    f"--variance {channels[0]}=0.2,...), or define `variance` in the model's "
                    "file."
                )
        own = None if self.variance is None else _by_channel(self.variance, channels)
        return {"variance": own, "covariance": self.covariance}


@dataclass(frozen=True)
class ModelFile:
    """What a MODEL.py defines."""

    path: Path  #: The file.
    model: Model  #: Its `model`.
    measured: Sequence[Expr] | Mapping[str, Expr] | None  #: Its `measured`.
    options: Mapping[str, Any]  #: Options of the action that it defines, unchecked; see `ACTION`.
    variance: Variance | None  #: Its `variance`.
    #: What it defines for an integration, unchecked; None if it does not.
    initial: object = None
    parameters: object = None
    forcing: Mapping[str, ForcingInput] | None = None
    energy: Expr | None = None
    covariance: ArrayLike | None = None  #: In place of `variance`, in the order of `measured`.

    def noise(self, variance: Variance | None) -> Noise:
        """Say the noise of data, with the `variance` of the command line in place of its own."""
        return Noise(variance) if variance is not None else Noise(self.variance, self.covariance)

    @property
    def action(self) -> Action:
        """The action of what is measured.

        Raises
        ------
        ModelError
            If the file does not say what is measured.
        """
        if self.measured is None:
            raise ModelError(
                f"{self.path.name} does not say what is measured. Define `measured`, a list of "
                f"states or expressions, for instance measured = [{self.model.states[0].name}]."
            )
        return Action(self.model, self.measured, **self.options)


@dataclass(frozen=True)
class NetworkFile:
    """What a MODEL.py defines whose model is a network."""

    path: Path  #: The file.
    action: NetworkAction  #: Of its `model`, `averaging` and `noise`.
    pairs: object  #: Its `pairs`, unchecked; None if it does not say.


def action_to_read(path: Path) -> Action | NetworkAction:
    """Return the action of a model file, as `action_of_all` where it has no network."""
    file = read_any(path)
    return file.action if isinstance(file, NetworkFile) else action_of_all(file)


def action_of_all(file: ModelFile) -> Action:
    """Return the action of a model file, every state measured if it does not say what is."""
    if file.covariance is not None:
        file = replace(file, options={**file.options, "correlated": True})
    if file.measured is not None:
        return file.action
    action = Action(file.model, file.model.states, **file.options)
    note(f"{file.path.name} does not define `measured`; every state is taken as measured.")
    return action


def read_model(path: Path) -> ModelFile:
    """Read a model file as `read_any`, and refuse one whose model is a network.

    Raises
    ------
    DataError, ModelError
        As `read_any`; or if the model is a network.
    """
    file = read_any(path)
    if isinstance(file, NetworkFile):
        raise ModelError(
            f"{path.name}: `model` is a network, which the commands derive, generate and report "
            "know. To fit it write in Python: run = sd.anneal(sd.Action(model), pairs); "
            "run.save('net.nc'); what it predicts, run.best.predict(inputs)."
        )
    return file


def read_any(path: Path) -> ModelFile | NetworkFile:
    """Run a Python file that defines `model`, and perhaps what else its kind of file has.

    It runs under the name ``symda_model``, so what it keeps behind ``if __name__ ==
    "__main__"`` does not run; it can import its neighbours.

    Raises
    ------
    DataError
        If there is no such file.
    ModelError
        If the file is not called .py, fails (the message shows its line), or defines no `model`.
    """
    # runpy would take any text for a program
    if path.suffix != PYTHON:
        raise ModelError(
            f"MODEL: expected a Python file, whose name ends in {PYTHON}, got {str(path)!r}."
        )
    if not path.is_file():
        raise DataError(
            f"there is no file {str(path)!r}. Check the path and the working directory."
        )
    beside = str(path.resolve().parent)
    sys.path.insert(0, beside)
    try:
        names = runpy.run_path(str(path), run_name="symda_model")
    except (Exception, SystemExit) as error:
        raise ModelError(_blame(path, error)) from error
    finally:
        sys.path.remove(beside)
    if "model" not in names:
        others = [name for name, value in names.items() if isinstance(value, Model)]
        hint = (
            f" Add the line: model = {others[0]}" if others else " Write model = sd.Model({...})."
        )
        raise ModelError(f"{path.name} defines no `model`.{hint}")
    model = names["model"]
    if isinstance(model, Network):
        _refuse_misspelt(path, names, NETWORK)
        options = {name: names[name] for name in NETWORK[:-1] if name in names}
        return NetworkFile(path, network_action(model, **options), names.get("pairs"))
    if not isinstance(model, Model):
        raise ModelError(
            f"{path.name}: `model` is {_article(type(model).__name__)}, expected a symda.Model. "
            "Write model = sd.Model({x: dx/dt, ...})."
        )
    _refuse_misspelt(path, names, ("measured", *ACTION, *FURTHER))
    options = {option: names[name] for name, option in ACTION.items() if name in names}
    return ModelFile(
        path, model, names.get("measured"), options, *(names.get(name) for name in FURTHER)
    )


def _refuse_misspelt(path: Path, names: Mapping[str, object], looked_for: Sequence[str]) -> None:
    """Refuse a name that is nearly one that is looked for, and that the file itself never uses.

    A variable that helps to write the model is used somewhere; what only looks like `scheme` and
    is not used does nothing at all, while its author believes that it does.
    """
    wanted = [name for name in looked_for if name not in names]
    tree = ast.parse(path.read_bytes())
    used = {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    for name, value in names.items():
        if (
            name in looked_for
            or name.startswith("_")
            or name in used
            or callable(value)
            or isinstance(value, ModuleType)
        ):
            continue
        close = difflib.get_close_matches(name.casefold(), wanted, n=1, cutoff=NEAR)
        if close:
            raise ModelError(
                f"{path.name} defines `{name}`, which nothing looks for and the file does not use. "
                f"Did you mean `{close[0]}`? If it is your own, begin it with an underscore."
            )


def refuse_swapped(model: Path, data: Sequence[Path]) -> None:
    """Refuse DATA that is a Python file, before anything is run.

    Raises
    ------
    DataError
        If one is.
    """
    for one in data:
        if one.suffix == PYTHON:
            raise DataError(
                f"DATA: expected a CSV or NetCDF file, got the Python file {str(one)!r}. "
                f"The model comes first: symda anneal MODEL.py DATA; got {str(model)!r} for it."
            )


def _blame(path: Path, error: BaseException) -> str:
    """Say on which line of the user's file an error arose."""
    what = f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError) and error.lineno is not None:
        # its own text ends in file and line, which the head of this message has
        what, line, text = f"SyntaxError: {error.msg}", error.lineno, error.text or ""
        return f"{path.name}, line {line}: {what}\n    {text.strip()}"
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)
    ]
    if not frames:
        return f"{path.name} cannot be run: {what}"
    return f"{path.name}, line {frames[-1].lineno}: {what}\n    {frames[-1].line}"


def _article(name: str) -> str:
    return f"an {name}" if name[0].lower() in "aeiou" else f"a {name}"


def read_data(path: Path, action: Action, noise: Noise, separator: str = ",") -> Observations:
    """Read the columns of a CSV or NetCDF file that are named like channels and forcing.

    Raises
    ------
    DataError
        If the file, a column or a variance is missing or wrong.
    """
    own = noise.of(action)
    values, forcing = _columns(action)
    if path.suffix.lower() in NETCDF:
        if separator != ",":
            raise OptionError(
                f"--separator: {path.name} is NetCDF, which has no separators; leave it out."
            )
        return Observations.from_netcdf(path, values=values, forcing=forcing, **own)
    sign = SEPARATORS.get(separator, separator)
    return Observations.from_csv(path, values=values, forcing=forcing, separator=sign, **own)


def read_experiments(
    paths: Sequence[Path],
    action: Action,
    noise: Noise,
    separator: str = ",",
    experiment: str | None = None,
) -> Observations | Experiments:
    """Read one file, or one experiment from each of several, or all from one tidy CSV file.

    Experiments are called like their files, or by what stands in the column `experiment`.

    Raises
    ------
    DataError
        As `read_data`, or if two files are called alike.
    OptionError
        If a column of experiments is named for several files, or one in NetCDF.
    """
    if experiment is not None:
        if len(paths) > 1 or paths[0].suffix.lower() in NETCDF:
            raise OptionError(
                f"--experiment: the column {experiment!r} tells experiments apart within one CSV "
                "file. Leave it out: files of their own are experiments of their own."
            )
        channels, forcing = _columns(action)
        return Experiments.from_csv(
            paths[0],
            experiment,
            values=channels,
            forcing=forcing,
            separator=SEPARATORS.get(separator, separator),
            **noise.of(action),
        )
    if len(paths) == 1:
        return read_data(paths[0], action, noise, separator)
    pairs = [(path.stem, read_data(path, action, noise, separator)) for path in paths]
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise DataError(
                f"DATA: two files are called {name!r}, which is what their experiments are called. "
                "Rename one of them."
            )
    return Experiments(pairs)


def with_initial(
    data: Observations | Experiments, given: Mapping[str, float | None], action: Action
) -> Observations | Experiments:
    """Return the data with initial values that are known exactly; None estimates one.

    A name of the form ``state[experiment]`` is that of one of several experiments.

    Raises
    ------
    OptionError
        If there is no such state or experiment.
    """
    states = [state.name for state in action.model.states]
    several = data if isinstance(data, Experiments) else {}
    everywhere: dict[str, float | None] = {}
    own: dict[str, dict[str, float | None]] = {name: {} for name in several}
    for key, value in given.items():
        state, bracket, rest = key.partition("[")
        if key in states or not bracket:
            state, chosen = key, everywhere
        elif rest.removesuffix("]") in own:
            chosen = own[rest.removesuffix("]")]
        else:
            has = f"there are {', '.join(own)}" if own else "there is one recording only"
            raise OptionError(
                f"--initial: {key!r} is of the experiment {rest.removesuffix(']')!r}, and {has}."
            )
        if state not in states:
            raise OptionError(
                f"--initial: {state!r} is not a state of {action.model.name!r}, which has "
                f"{', '.join(states[:20])}.{nearest(state, states)}"
            )
        chosen[state] = value
    if not isinstance(data, Experiments):
        return data.with_initial(everywhere) if everywhere else data
    return Experiments(
        {name: one.with_initial({**everywhere, **own[name]}) for name, one in data.items()}
    )


def _columns(action: Action) -> tuple[list[str], list[str]]:
    """Names of the columns that are measured, and of those that are forcing."""
    forcing = [symbol.name for symbol in action.model.forcing]
    return list(action.measurement.names), forcing


def _by_channel(variance: Variance, channels: tuple[str, ...]) -> float | list[float]:
    if not isinstance(variance, Mapping):
        return variance if isinstance(variance, (int, float)) else list(variance)
    named = {str(name): value for name, value in variance.items()}
    for name in named:
        if name not in channels:
            raise OptionError(
                f"variance: {name!r} is not a measured channel; there are "
                f"{', '.join(channels)}.{nearest(name, channels)}"
            )
    # binding names a channel whose noise needs one
    return [named.get(name, math.nan) for name in channels]
