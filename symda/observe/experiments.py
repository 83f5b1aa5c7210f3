"""`Experiments`: several recordings of one system, each with a name."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from reprlib import repr as short
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from numpy.typing import ArrayLike

from symda.errors import DataError, nearest
from symda.names import is_name
from symda.observe import csvfile, tables
from symda.observe.arrays import place
from symda.observe.observations import Observations
from symda.observe.tables import ColumnChoice, ForcingChoice

if TYPE_CHECKING:
    import pandas

#: What `Experiments` are made of.
Recordings: TypeAlias = (
    Mapping[str, Observations] | Sequence[Observations] | Sequence[tuple[str, Observations]]
)

_EXAMPLE = "[data1, data2] or {'sweep 1': data1, 'sweep 2': data2}"


@dataclass(frozen=True, eq=False, init=False, repr=False)
class Experiments(Mapping[str, Observations]):
    """Several recordings of one system, measured in the same channels and forced in the same way.

    Each has its own times, gaps, variances and values of the forcing; its path is its own. A
    parameter is shared, unless it was declared with ``per="experiment"``.

    Parameters
    ----------
    recordings : mapping of str to Observations, or sequence
        The recordings by name, or pairs of name and recording; those without names are called
        ``"1"``, ``"2"``, ... by their place.

    Raises
    ------
    DataError
        If there is none, a name is none or occurs twice, or the recordings differ in their channels
        or forcing.

    Examples
    --------
    >>> import symda as sd
    >>> one = sd.Observations([0.0, 1.0], [1.0, 0.5], variance=0.1)
    >>> list(sd.Experiments({"cold": one, "warm": one}))
    ['cold', 'warm']
    """

    recordings: Mapping[str, Observations]

    def __init__(self, recordings: Recordings) -> None:
        found: dict[str, Observations] = {}
        for name, data in _pairs(recordings):
            if not is_name(name) or set("[]") & set(name):
                raise DataError(
                    f"experiments: {name!r} is no name for an experiment; it must be a printable "
                    "text without brackets, and without blanks around it."
                )
            if name in found:
                raise DataError(
                    f"experiments: two are called {name!r}. Give each a name of its own."
                )
            if not isinstance(data, Observations):
                raise DataError(
                    f"experiments: {name!r} is a {type(data).__name__}; expected a "
                    "symda.Observations, made with sd.Observations(times, values, variance=...)."
                )
            found[name] = data
        if not found:
            raise DataError(f"experiments: there is none. Pass some recordings, as in {_EXAMPLE}.")
        (first, model), *others = found.items()
        for name, data in others:
            _require_alike(first, model, name, data)
        object.__setattr__(self, "recordings", MappingProxyType(found))

    @classmethod
    def from_pandas(
        cls,
        frame: pandas.DataFrame,
        experiment: Hashable,
        time: Hashable,
        values: ColumnChoice | None = None,
        *,
        variance: ArrayLike | None = None,
        covariance: ArrayLike | None = None,
        forcing: ForcingChoice = (),
    ) -> Experiments:
        """Read a tidy DataFrame: one row a time of an experiment.

        Parameters
        ----------
        frame
            The rows of all experiments.
        experiment
            Column that names the experiment of each row.
        time, values, variance, covariance, forcing
            As in `Observations.from_pandas`, for the rows of each experiment.

        Raises
        ------
        DataError
            If there is no such column, a row without a name, or as `Observations.from_pandas`,
            naming the experiment.
        """
        tables.require_frame(frame, "experiments")
        noise = {"variance": variance, "covariance": covariance}
        return cls._of(frame, experiment, time, values, forcing, "the DataFrame", noise)

    @classmethod
    def from_csv(
        cls,
        path: str | Path,
        experiment: str,
        time: str | None = None,
        values: ColumnChoice | None = None,
        *,
        variance: ArrayLike | None = None,
        covariance: ArrayLike | None = None,
        forcing: ForcingChoice = (),
        separator: str = ",",
    ) -> Experiments:
        """Read a tidy CSV file: one row a time of an experiment.

        Parameters
        ----------
        path
            The file.
        experiment
            Column that names the experiment of each row.
        time, values, variance, covariance, forcing, separator
            As in `Observations.from_csv`, for the rows of each experiment.

        Raises
        ------
        DataError
            As `Observations.from_csv` and `from_pandas`.
        """
        frame, where = csvfile.table(path, separator), tables.existing(path)
        others = [name for name in frame.columns if name != experiment]
        time = csvfile.time_column(others, time, where)
        noise = {"variance": variance, "covariance": covariance}
        return cls._of(frame, experiment, time, values, forcing, where, noise)

    @classmethod
    def _of(
        cls,
        frame: pandas.DataFrame,
        experiment: Hashable,
        time: Hashable,
        values: ColumnChoice | None,
        forcing: ForcingChoice,
        where: str,
        noise: Mapping[str, ArrayLike | None],
    ) -> Experiments:
        if experiment not in frame.columns:
            columns = [str(name) for name in frame.columns]
            raise DataError(
                f"experiments: there is no column {experiment!r}."
                f"{nearest(str(experiment), columns)} There are {', '.join(columns)}."
            )
        missing = frame[experiment].isna()
        if missing.any():
            row = place(frame, int(missing.to_numpy().argmax()))
            raise DataError(
                f"experiments: {row} has no name in the column {experiment!r}. Each row is of "
                "an experiment."
            )
        labels = frame[experiment].map(_label)
        recordings: dict[str, Observations] = {}
        for name in labels.unique().tolist():
            own = frame[labels == name].drop(columns=[experiment])
            try:
                columns_of = tables.from_pandas(own, time, values, forcing, where)
                recordings[name] = Observations.of_columns(columns_of, **noise)
            except DataError as error:
                raise DataError(f"experiment {name!r}: {error}") from error
        return cls(recordings)

    def __getitem__(self, name: str) -> Observations:
        return self.recordings[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.recordings)

    def __len__(self) -> int:
        return len(self.recordings)

    def __repr__(self) -> str:
        return f"Experiments({dict(self.recordings)!r})"

    def __reduce__(self) -> tuple[type[Experiments], tuple[dict[str, Observations]]]:
        return Experiments, (dict(self.recordings),)


def _label(value: object) -> str:
    """Name an experiment by its label in a table, where 1 may stand as 1.0."""
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def _pairs(recordings: Recordings) -> list[tuple[str, Observations]]:
    """Names and recordings as they were given."""
    if isinstance(recordings, Mapping):
        return [(name, data) for name, data in recordings.items()]
    if isinstance(recordings, str) or not isinstance(recordings, Sequence):
        raise DataError(
            f"experiments: expected recordings, as in {_EXAMPLE}, got {short(recordings)}."
        )
    pairs: list[tuple[str, Observations]] = []
    for number, one in enumerate(recordings, start=1):
        if isinstance(one, tuple) and len(one) == 2:
            pairs.append((one[0], one[1]))
        else:
            pairs.append((str(number), one))  # type: ignore[arg-type]  # checked by the caller
    return pairs


def _require_alike(first: str, model: Observations, name: str, data: Observations) -> None:
    """Refuse recordings of other channels or forcing."""
    columns = model.values.shape[1], data.values.shape[1]
    named = _listed(model.channels, columns[0]), _listed(data.channels, columns[1])
    if set(model.channels or ()) != set(data.channels or ()) or columns[0] != columns[1]:
        raise DataError(
            f"experiments: {first!r} has {named[0]}, {name!r} has {named[1]}. Give all "
            "the same channels, a column of nan where one was not measured."
        )
    if set(model.forcing) != set(data.forcing):
        has = " and ".join(
            f"{one!r} {', '.join(map(repr, each.forcing)) or 'none'}"
            for one, each in ((first, model), (name, data))
        )
        raise DataError(
            f"experiments: the forcing differs: {has}. Give all the same channels with forcing=, "
            "0.0 where one was off."
        )


def _listed(channels: tuple[str, ...] | None, count: int) -> str:
    if channels is None:
        return f"{count} channel{'s' * (count != 1)} without names"
    return f"the channel{'s' * (count != 1)} {', '.join(map(repr, channels))}"
