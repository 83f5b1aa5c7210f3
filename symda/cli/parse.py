"""Options of the command line that name things, ``name=value``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from symda.errors import OptionError


def parse_initial(texts: Iterable[str]) -> dict[str, float | None]:
    """Read ``state=number`` or ``state=free`` each."""
    return {
        name: None if value == "free" else _number(value, f"--initial {name}")
        for name, value in _pairs(texts, "--initial")
    }


def parse_variance(text: str) -> float | dict[str, float]:
    """Read ``0.2`` or ``x0=0.2,x3=0.1``."""
    if "=" not in text:
        return _number(text, "--variance")
    return parse_values(text.split(","), "--variance")


def parse_values(texts: Iterable[str], option: str) -> dict[str, float]:
    """Read ``name=number`` each."""
    return {name: _number(value, f"{option} {name}") for name, value in _pairs(texts, option)}


def parse_fixed(fix: Sequence[str], free: Sequence[str]) -> dict[str, float | None]:
    """Read the parameters to hold at a value, and those to estimate: None.

    Raises
    ------
    OptionError
        If one is among both.
    """
    held = parse_values(fix, "--fix")
    both = [name for name in free if name in held]
    if both:
        raise OptionError(f"--fix and --free: {both[0]} is given with both; leave one of them out.")
    return {**dict.fromkeys(free), **held}


def parse_options(texts: Iterable[str], option: str) -> dict[str, object]:
    """Read ``name=value`` each; numbers and true or false become what they mean."""
    values: dict[str, object] = {}
    for name, value in _pairs(texts, option):
        try:
            values[name] = json.loads(value)
        except (ValueError, RecursionError):
            values[name] = value
    return values


def _pairs(texts: Iterable[str], option: str) -> Iterable[tuple[str, str]]:
    seen: set[str] = set()
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not (name and equals and value):
            raise OptionError(f"{option}: expected name=value, got {text!r}.")
        if name in seen:
            raise OptionError(f"{option}: {name} is given twice; leave one of them out.")
        seen.add(name)
        yield name, value


def _number(text: str, option: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise OptionError(f"{option}: expected a number, got {text!r}.") from None
