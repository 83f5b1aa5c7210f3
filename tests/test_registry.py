"""Choices by name or object, of symda and of other packages."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass

import pytest

from symda.errors import OptionError
from symda.registry import Registry, RegistryWarning, options_of, summary_of


@dataclass(frozen=True)
class Tool:
    """Does one thing.

    At length.
    """

    name: str
    width: float = 2.0


def tools() -> Registry[Tool]:
    return Registry("tool", [Tool("saw"), Tool("axe", 3.0)], of=Tool, own="a Tool of yours")


def offer(monkeypatch: pytest.MonkeyPatch, group: str, **values: object) -> None:
    class Point:
        def __init__(self, name: str, value: object) -> None:
            self.name, self.value = name, f"other:{name}"
            self.content = value

        def load(self) -> object:
            if isinstance(self.content, Exception):
                raise self.content
            return self.content

    def entry_points(*, group: str) -> list[Point]:
        return [Point(*one) for one in values.items()] if group == wanted else []

    wanted = group
    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)


def test_names_and_objects() -> None:
    found = tools()
    assert list(found) == ["saw", "axe"] and len(found) == 2 and "hammer" not in found
    assert found.find("axe", where="cut") is found["axe"]
    own = Tool("mine")
    assert found.find(own, where="cut") is own
    with pytest.raises(TypeError):
        found["new"] = own  # type: ignore[index]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            "sow",
            "cut: there is no tool 'sow'; there is saw, axe, or a Tool of yours. "
            "Did you mean 'saw'?",
        ),
        (3, "cut: tool must be 'saw' or 'axe', or a Tool of yours, got 3."),
        (Tool, "cut: tool is the class Tool; make one of it, such as Tool()."),
    ],
)
def test_what_is_no_choice(given: object, said: str) -> None:
    with pytest.raises(OptionError) as caught:
        tools().find(given, where="cut")
    assert str(caught.value) == said


def test_one_name_is_one_choice() -> None:
    with pytest.raises(ValueError, match="two tools are called 'saw'"):
        Registry("tool", [Tool("saw"), Tool("saw", 1.0)], of=Tool, own="a Tool")


def test_choices_of_other_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, "symda.tools", hammer=Tool("hammer"))
    found = tools()
    assert found["hammer"].name == "hammer" and list(found) == ["saw", "axe", "hammer"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (ImportError("no module"), "no module"),
        (3, "it is not a Tool of yours called 'saw'"),
        (Tool("other"), "it is not a Tool of yours called 'saw'"),
        (Tool("saw", 9.0), "there is a tool of that name already"),
    ],
)
def test_a_broken_entry_point_takes_nothing_with_it(
    monkeypatch: pytest.MonkeyPatch, content: object, why: str
) -> None:
    offer(monkeypatch, "symda.tools", saw=content)
    found = tools()
    with pytest.warns(RegistryWarning, match=why):
        assert list(found) == ["saw", "axe"]
    assert found["saw"].width == 2.0


def test_options_and_summary() -> None:
    assert options_of(Tool("saw")) == {"width": 2.0}
    assert options_of(test_options_and_summary) == {}
    assert summary_of(Tool("saw")) == "Does one thing."
