"""A run as tables for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from symda.errors import DataError, OptionError
from symda.status import Status

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


def export(dataset: xr.Dataset, lowest: int, path: str | Path) -> tuple[Path, ...]:
    """Write the dataset of a run, of whose paths one is the lowest; see `Run.export`."""
    from symda.anneal.file import save

    target = Path(path)
    if target.suffix == ".nc":
        return (save(dataset, target),)
    if target.suffix != ".csv":
        raise OptionError(
            f"export: the name of the file must end in .nc or .csv, got {target.name!r}. For ArviZ "
            "take run.sample().to_arviz()."
        )
    beside = target.with_name(f"{target.stem}-paths.csv")
    try:
        _states(dataset, lowest).to_csv(target, index=False)
        _paths(dataset).to_csv(beside, index=False)
    except OSError as error:
        raise DataError(
            f"export: cannot write {str(target)!r}: {error.strerror or error}. Make room or choose "
            "another place."
        ) from error
    return target, beside


def _states(d: xr.Dataset, lowest: int) -> pd.DataFrame:
    """Return states of the lowest path and data, a row for each time of each experiment."""
    import pandas as pd

    states = d["states"].isel(path=lowest).values
    columns: dict[str, object] = {}
    if "points" in d:
        columns["experiment"] = np.repeat(d["experiment"].values, d["points"].values)
    columns["t"] = d["time"].values
    columns |= {str(n): states[:, a] for a, n in enumerate(d["state"].values)}
    data = d["observed"].values
    columns |= {f"data {n}": data[:, i] for i, n in enumerate(d["channel"].values)}
    return pd.DataFrame(columns)


def _paths(d: xr.Dataset) -> pd.DataFrame:
    """Return a row for each path, at the last rung it reached."""
    import pandas as pd

    last = d["last_beta"].values
    at = np.arange(last.size), np.maximum(last, 0)
    none = last < 0
    columns: dict[str, object] = {"path": d["path"].values, "rung": last}
    for name in ("action", "measurement_term", "model_term"):
        columns[name] = np.where(none, np.nan, d[name].values[at])
    status = d["status"].values
    tried = [row[row > 0][-1] if (row > 0).any() else 0 for row in status]
    columns["status"] = [str(Status.of(int(code))) for code in tried]
    columns |= {
        str(name): np.where(none, np.nan, d["parameters"].values[(*at, i)])
        for i, name in enumerate(d["parameter"].values)
    }
    columns["message"] = d["message"].values
    return pd.DataFrame(columns)
