"""Names hold whatever people write, and reports, figures and the console show them as text."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import xarray as xr
from markdown_it import MarkdownIt
from markdown_it.token import Token
from report_pages import read

import symda as sd
from symda.api import VirtualMachineWarning
from symda.cli import console
from symda.declare import Parameter, State
from symda.show.figures import plain
from symda.show.report.drawings import svg
from symda.show.report.tex import escaped, fitted
from symda.show.trajectory import plot_trajectory
from symda.typeset.mathml import math

NAMES = [
    "</h1></math></svg><script>alert(1)</script><img src=x onerror=y>",
    r"\input{/etc/passwd} \write18{ls} \end{verbatim} \end{aligned}",
    "$$ a $x$ b $",
    "[bold]x[/bold] [red]",
    "[a](javascript:b) ![c](d) <mailto:e@f.g> www.g.h",
    "`code` ``` ```` ~~~",
    r"a &= b & c && d \\ e &lt; f",
    "* [x] y *z* __w__ - # 1. |q|",
    '#0072B2 xmlns="u" id="v" xlink:href="w" url(#x)',
    "_hidden ^{2} _{3}",
    "% comment",
    "100%",
]


@pytest.fixture(scope="module")
def run() -> Iterator[tuple[sd.Run, sd.Action]]:
    """Anneal a decay in which everything has a name of the list."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore", VirtualMachineWarning)
        patch.setenv("SYMDA_CC", "none")
        states = [State(name, start=(0.0, 2.0)) for name in NAMES]
        rates = [Parameter(f"k {name}", bounds=(0.0, 9.0)) for name in NAMES[:6]]
        equations = {x: -rates[n % 6] * x for n, x in enumerate(states)}
        action = sd.Action(
            sd.Model(equations, name=NAMES[0]),
            {**{x.name: x for x in states[:6]}, f"h {NAMES[1]}": states[0] * states[1]},
            scheme="euler",
        )
        t = np.linspace(0.0, 1.0, 3)
        data = sd.Observations(t, np.exp(-t)[:, None] * np.ones(7), variance=0.1)
        found = sd.anneal(
            action, data, paths=1, ladder=sd.Ladder(rungs=2), solver="lbfgs", strategy="ladder",
            start="uniform", executor="serial", progress=False,
        )  # fmt: skip
        yield found, action


def test_pages_hold_names_as_text(run: tuple[sd.Run, sd.Action], tmp_path: Path) -> None:
    page = read(run[0].report(tmp_path / "run.html", action=run[1]))
    assert ("h1", NAMES[0]) in page.headings
    words = {"".join(formula.itertext()) for formula in page.maths}
    shown = "".join(page.words)
    for name in NAMES:
        assert any(name in text for text in words), name
        # as the title of a panel, in a drawing
        assert shown.count(name) >= 2 or name.startswith("_"), name


def markdown_tokens(text: str) -> Iterator[Token]:
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text):
        yield token
        yield from token.children or ()


def test_markdown_holds_names_as_text(run: tuple[sd.Run, sd.Action], tmp_path: Path) -> None:
    """A reader of CommonMark that knows no mathematics finds neither tags nor links nor code."""
    text = run[0].report(tmp_path / "run.md", action=run[1]).read_text(encoding="utf-8")
    tokens = list(markdown_tokens(text))
    kinds = {token.type for token in tokens}
    assert not kinds & {"link_open", "html_inline", "code_block", "bullet_list_open"}
    tags = {token.content.strip() for token in tokens if token.type == "html_block"}
    assert all(re.fullmatch(r"</?details>(<summary>[\w, ]*</summary>)?", tag) for tag in tags)
    figures = [token.attrs["src"] for token in tokens if token.type == "image"]
    assert figures and all(re.fullmatch(r"run_files/[\w-]+\.png", str(one)) for one in figures)
    cells = {
        "".join(child.content for child in token.children or ())
        for token in tokens
        if token.type == "inline"
    }
    assert {NAMES[0], *NAMES} <= cells
    # displays are whole: each is between two lines of dollar signs, with none inside
    for display in re.findall(r"^\$\$\n(.*?)^\$\$$", text, re.MULTILINE | re.DOTALL):
        assert "$" not in display.replace(r"\$", "") and "\n\n" not in display
        assert display.startswith("\\begin{aligned}\n") and display.endswith("\\end{aligned}\n")
        assert display.count(r"\end{aligned}") == 1 and "<" not in display


def test_latex_holds_names_as_text(run: tuple[sd.Run, sd.Action], tmp_path: Path) -> None:
    text = run[0].report(tmp_path / "run.tex", action=run[1]).read_text(encoding="utf-8")
    assert text.count(r"\begin{verbatim}") == text.count(r"\end{verbatim}")
    text = re.sub(r"\\begin\{verbatim\}.*?\\end\{verbatim\}", "", text, flags=re.DOTALL)
    assert not re.search(r"\\(input|write|write18)\b", text)
    assert r"\textbackslash{}input\{/etc/passwd\} \textbackslash{}write18" in text
    assert r"\backslash input\{/etc/passwd\}" in text
    body = text.partition(r"\begin{document}")[2]
    bare = re.sub(r"\\[^a-zA-Z]", "", body)
    assert bare.count("{") == bare.count("}") and "$" not in bare and "%" not in bare
    # a row that ends before [ or * would take them for its own
    assert not re.search(r"\\\\\s*[\[*]", body)


@pytest.mark.parametrize("name", NAMES)
def test_formulas_hold_names_as_text(name: str) -> None:
    x, k = State(name), Parameter(f"k {name}", bounds=(0.0, 1.0))
    action = sd.Action(sd.Model({x: -k * x}, name=name), [x], scheme="euler", model_error="rate")
    for result in (action.equations(), action.euler_lagrange()):
        formulas = re.findall(r"<math.*?</math>", result.mathml(), re.DOTALL)
        texts = ["".join(ElementTree.fromstring(one).itertext()) for one in formulas]
        assert any(name in text for text in texts)
        assert "\n\n" not in result._repr_latex_() and "<" not in result._repr_latex_()
    assert "<" not in action.model._repr_latex_()


def test_sides_are_told_apart_by_the_sign_that_is_no_name() -> None:
    row = r"\mathrm{a\ \&=\ b\&c} &= 1 && \text{remark \& more}"
    assert fitted(row).splitlines()[2] == row
    texts = "".join(ElementTree.fromstring(math(r"\mathrm{a\&=b} &= 1")).itertext())
    assert texts == "a&=b=1"


def test_running_text_of_latex_is_one_paragraph() -> None:
    assert escaped("a\n\nb\tc\x07\u202ed") == "a b c??d"
    assert escaped("[a]*") == "{[}a{]}{*}"


@pytest.mark.parametrize("name", NAMES)
def test_figures_show_names_as_text(name: str) -> None:
    from symda.show.figures import new_figure
    from symda.show.report.document import Figure

    figure = new_figure(16.0, 4.0)
    axes = figure.subplots()
    axes.set_title(plain(name))
    axes.set_xlabel(plain(name))
    drawn = svg(Figure("names", figure, "names"), "f0")
    assert "".join(ElementTree.fromstring(drawn).itertext()).count(name) == 2
    figure.savefig(io.BytesIO(), format="png")


def test_legends_name_states_that_begin_with_an_underscore() -> None:
    names = ["_a", "b $ $"]
    states = xr.DataArray(
        np.zeros((3, 2)), {"time": np.arange(3.0), "state": names}, ("time", "state")
    )
    figure = plot_trajectory(states, groups=[names])
    legend = figure.axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["_a", r"b \$ \$"]


def test_the_console_shows_text_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    for name in NAMES:
        console.say(name, verbatim=True)
        assert capsys.readouterr().out == name + "\n"
    console.say("a\x1b[31mred\x07\u202eb\nc\td", verbatim=True)
    assert capsys.readouterr().out == "a\\x1b[31mred\\x07\\u202eb\nc       d\n"
    console.note("title \x1b]0;owned\x07")
    assert capsys.readouterr().err == "title \\x1b]0;owned\\x07\n"


def test_tables_of_the_console_show_names(
    run: tuple[sd.Run, sd.Action],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(console, "WIDTH", 1000)
    console.show_levels(run[0])
    out = capsys.readouterr().out
    assert f"k {NAMES[3]}" in out and f"k {NAMES[0]}" in out
