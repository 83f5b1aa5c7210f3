"""Jinja2 as every template of symda is read: undefined names are errors, lines stay as they are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment


def folder() -> Path:
    """Return the templates of the package that runs, whatever other checkouts are installed.

    A wheel has them inside the package, a checkout beside it.
    """
    package = Path(__file__).resolve().parent
    inside = package / "templates"
    return inside if inside.is_dir() else package.parent / "templates"


def jinja_environment(*, escape: bool = False) -> Environment:
    """Return where templates are found and how they are read.

    Parameters
    ----------
    escape : bool
        Whether text that is put in is escaped for HTML.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(folder()),
        undefined=StrictUndefined,
        autoescape=escape,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
