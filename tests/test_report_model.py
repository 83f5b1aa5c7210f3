"""Reports of actions: everything declared and derived is there, names are text, forms agree."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import api_cases as cases
import numpy as np
import pytest
import sympy as sp
from report_pages import Page, read

import symda as sd
from symda.show.report import (
    Document,
    Picture,
    bordered_hessian,
    field_jacobian,
    mathematics,
    step_jacobian,
    write,
)
from symda.show.report.structure import Axis, _cells
from symda.show.report.tex import fitted, verbatim
from symda.typeset.display import Line, Section


def decay() -> sd.Action:
    """One state, no parameter."""
    x = sd.state("x", start=(0.0, 1.0))
    return sd.Action(sd.Model({x: -x}, name="decay"), {"twice": 2 * x}, scheme="trapezoid")


def henon() -> sd.Action:
    u, v = sd.states("u v", bounds=(-2.0, 2.0))
    a, b = sd.parameter("a", value=1.4), sd.parameter("b", bounds=(0.0, np.inf), typical=0.3)
    return sd.Action(sd.Model({u: 1 - a * u**2 + v, v: b * u}, name="henon", discrete=True), [u])


def lattice(count: int = 1000) -> sd.Action:
    i = sd.site("i", count)
    x = sd.states("x", i, start=(-10.0, 10.0))
    F = sd.parameter("F", bounds=(0.0, 20.0))
    model = sd.Model({x[i]: x[i - 1] * (x[i + 1] - x[i - 2]) - x[i] + F}, name="lattice")
    return sd.Action(model, x[::3])


def neuron() -> sd.Action:
    model = sd.models.nakl()
    return sd.Action(model, [model["V"]], scheme="hermite-simpson")


def drifting() -> sd.Action:
    x = sd.state("x")
    w = sd.parameter("w", per="step", bounds=(0.0, 2.0), process_variance=0.01)
    I, t = sd.forcing("I"), sd.time()
    return sd.Action(sd.Model({x: -w * x + I + sp.cos(t)}, name="drifting"), [x])


def harmonic() -> sd.Action:
    q, v = sd.states("q v", bounds=(-9.0, 9.0))
    model = sd.Model.from_lagrangian(v**2 / 2 - q**2 / 2, q, v, name="spring")
    return sd.Action(model, [q])


ACTIONS = {
    "mechanics": harmonic,
    "decay": decay,
    "map": henon,
    "lattice": lattice,
    "neuron": neuron,
    "drifting": drifting,
}


@pytest.fixture(scope="module", params=ACTIONS)
def made(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[sd.Action, Page]:
    action = ACTIONS[request.param]()
    return action, read(action.report(tmp_path_factory.mktemp("report") / "model.html"))


def test_what_was_declared_is_listed(made: tuple[sd.Action, Page]) -> None:
    action, page = made
    model = action.model
    assert page.headings[0] == ("h1", model.name)
    names = [parameter.name for parameter in action.parameters]
    names += [symbol.name for symbol in model.forcing]
    if not action.matrix_free:
        names += [state.name for state in model.states]
    assert set(names) <= set(page.cells)
    topics = [said for tag, said in page.headings if tag == "h3"]
    assert ("Parameters per step" in topics) is bool(model.per_step)
    assert ("Forcing" in topics) is bool(model.forcing)
    said = "".join(page.words)
    assert (f"D = {len(model.states):,} state" in said) and f"scheme {action.scheme.name}" in said
    if not action.parameters:
        assert "P = 0 parameters" in said and "None." in said


def test_every_equation_is_there_once(made: tuple[sd.Action, Page]) -> None:
    action, page = made
    sections = action.equations().sections
    assert len(page.maths) >= sum(len(section.lines) for section in sections)
    topics = [said for tag, said in page.headings if tag == "h3"]
    assert [said for said in topics if said in {s.title for s in sections}][: len(sections)]
    assert {section.title for section in sections} <= set(topics)


def test_mechanics_says_what_it_was_made_from(tmp_path: Path) -> None:
    latex = harmonic().report(tmp_path / "spring.tex").read_text(encoding="utf-8")
    mechanics = latex.partition("{Mechanics}")[2].partition("subsection")[0]
    assert r"H &= \frac{p_{q}^{2}}{2} + \frac{q^{2}}{2}" in mechanics
    assert r"L &= " in mechanics


def test_bounds_starts_and_values(tmp_path: Path) -> None:
    page = read(henon().report(tmp_path / "map.html"))
    rows = re.findall(r"<tr>(.*?)</tr>", page.text)
    cells = {tuple(re.findall(r"<td[^>]*>(.*?)</td>", row)) for row in rows}
    assert ("u", "-2 .. 2", "bounds", "yes") in cells
    assert ("v", "-2 .. 2", "bounds", "no") in cells
    assert ("a", "none", "", "1.4", "") in cells
    assert ("b", "0 .. ∞", "range of the data", "to be estimated", "0.3") in cells


def test_large_models_stay_readable(tmp_path: Path) -> None:
    x = sd.states("x", 90)
    k = sd.parameter("k")
    action = sd.Action(sd.Model({s: -k * s**2 for s in x}, name="many"), x[::2])
    page = read(action.report(tmp_path / "many.html"))
    assert page.text.count("<details>") >= 4  # equations, derivatives, momenta, source
    said = "".join(page.words)
    assert "90 equations" in said and "10 more equations not shown." in said
    assert "Left out for more than 60 states; action.lagrangian()" in said
    assert "120 left out" in said and "50 more not listed." in said


@pytest.mark.parametrize("scheme", ["rk4", "hermite-simpson", "trapezoid"])
def test_pictures_are_the_patterns_of_the_kernels(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYMDA_CC", "none")
    model, x = cases.lorenz96()
    action = sd.Action(model, [x[0] * x[1], x[3]], scheme=scheme)
    ir = action.specification.lowered
    picture = bordered_hessian(ir)
    steps = (picture.mask.shape[0] - ir.P - ir.D) // ir.E
    data = sd.Observations(0.1 * np.arange(steps + 1), np.zeros((steps + 1, 2)), variance=1.0)
    problem = action.bind(data)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(problem.M, problem.D))
    with pytest.warns(sd.api.VirtualMachineWarning):
        kernels = action.compile()
    hessian = kernels.hessian(X, [8.0], 2.0, problem).toarray() != 0
    # data on interior points, which this problem has none of, would fill their own blocks only
    seen = picture.mask & ~hessian
    assert not (hessian & ~picture.mask).any()
    assert scheme == "hermite-simpson" or not seen.any()
    assert f", {int(picture.mask.sum()):,} of {picture.mask.size:,} entries" in picture.size
    step = step_jacobian(ir).mask
    assert step.shape == (ir.E, ir.E + ir.D + ir.P)
    uses, _ = action.field.structure()
    first = field_jacobian(uses, ["x"] * 5, ["nu"], discrete=False)
    at = {s: sp.Rational(3 + n, 7) for n, s in enumerate(model.states)}
    exact = sp.Matrix(model.equations).jacobian([*model.states, *model.parameters]).subs(at)
    np.testing.assert_array_equal(first.mask, np.array(exact.tolist(), dtype=float) != 0)


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (70, 64), (300, 301), (1000, 1001)])
def test_cells_cover_what_is_not_zero_and_nothing_else(shape: tuple[int, int]) -> None:
    mask = np.random.default_rng(1).random(shape) < 0.2
    picture = Picture("any", mask, Axis(""), Axis(""))
    corners = _cells(picture).vertices.reshape(-1, 5, 2)[:, [0, 2]]
    many = picture.step
    assert max(shape) / many <= 240
    drawn = np.zeros(-(-np.array(shape) // many), dtype=bool)
    for (x0, y0), (x1, y1) in np.round(corners / many).astype(int):
        drawn[y0:y1, x0:x1] = True
    rows, columns = np.nonzero(mask)
    expected = np.zeros_like(drawn)
    expected[rows // many, columns // many] = True
    np.testing.assert_array_equal(drawn, expected)


HOSTILE = "</h1><script>alert('&amp;')</script>"


def test_names_are_text_in_every_form(tmp_path: Path) -> None:
    x = sd.state("x<img/src=//a/b>", bounds=(0.0, 1.0))
    k, u = sd.parameter("k|`$_^{%#&~\\"), sd.forcing("*u*[a](b)")
    model = sd.Model({x: -k * x + u}, name=HOSTILE)
    action = sd.Action(model, {"<h2>channel": x * k})
    page = read(action.report(tmp_path / "hostile.html"))
    assert ("h1", HOSTILE) in page.headings
    assert {x.name, k.name, u.name} <= set(page.cells)
    assert "img" not in page.tags
    assert "channel <h2>channel" in "".join("".join(math.itertext()) for math in page.maths)
    markdown = action.report(tmp_path / "hostile.md").read_text(encoding="utf-8")
    assert markdown.startswith(r"# \</h1\>\<script\>alert('\&amp;')\</script\>" "\n")
    assert r"| k\|\`\$\_^\{%\#\&\~\\ |" in markdown and r"\*u\*\[a\](b)" in markdown
    latex = action.report(tmp_path / "hostile.tex").read_text(encoding="utf-8")
    assert r"\title{\textless{}/h1\textgreater{}\textless{}script" in latex
    assert r"k\textbar{}`\$\_\textasciicircum{}\{\%\#\&\textasciitilde{}\textbackslash{}" in latex


def test_letters_that_latex_lacks_are_spelled_out(tmp_path: Path) -> None:
    x, k = sd.state("größe"), sd.parameter("θ")
    action = sd.Action(sd.Model({x: -k * x}, name="模型 é ς λ"), [x], scheme="euler")
    latex = action.report(tmp_path / "letters.tex").read_text(encoding="utf-8")
    assert r"\title{模型 é ς λ}" in latex and "größe" in latex
    preamble = latex.partition(r"\begin{document}")[0]
    declared = dict(re.findall(r"\\DeclareUnicodeCharacter\{(\w+)\}\{(.*)\}\n", preamble))
    assert declared["03B8"] == r"\ensuremath{\theta}" and "00E9" not in declared
    assert declared["03BB"] == r"\ensuremath{\lambda}"
    assert declared["6A21"] == r"\texttt{[U+6A21]}" and declared["03C2"] == r"\texttt{[U+03C2]}"
    read(action.report(tmp_path / "letters.html"))


def test_models_actions_and_runs_show_themselves_in_notebooks() -> None:
    model = cases.lorenz96()[0]
    latex = model._repr_latex_()
    assert latex.startswith("$$\\begin{aligned}\n\\frac{d x_{0}}{d t} &= ")
    assert latex.count(r"\\") == 4 and r"\nu" in latex
    shown = Page(model._repr_html_())
    assert {"x0", "nu", "0 .. 20", "5 .. 15"} <= set(shown.cells)
    assert latex in "".join(shown.words)
    assert "lorenz96" in "".join(Page(cases.action()._repr_html_()).words)
    run = cases.run()
    cells = Page(run._repr_html_()).cells
    assert f"{run.best.action:.6g}" in cells and "measurement term" in cells
    assert Page(sd.Run(run.dataset)._repr_html_()).cells == cells
    latex = run._repr_latex_()
    lowest = f"A &= {run.best.action:.6g} \\\\\nR_{{f}} &= 2621.44 \\\\\n"
    assert latex.startswith("$$\\begin{aligned}\n&\\textbf{Lowest level}") and lowest in latex
    assert rf"\nu &= {run.best.parameters['nu']:.6g}" in latex


def test_notebooks_get_few_lines_and_safe_names() -> None:
    x = sd.states("x", 40)
    model = sd.Model({s: -s for s in x})
    assert r"\text{28 more}" in model._repr_latex_() and "and 28 more" in model._repr_html_()
    assert lattice(7).model._repr_latex_().count(r"\frac") == 1
    assert r"{u}_{n+1} &= - a {u}_{n}^{2} + {v}_{n} + 1" in henon().model._repr_latex_()
    assert "w" not in drifting().model._repr_latex_().split("&=")[0]
    hostile = sd.state("<script>a_b%")
    shown = sd.Model({hostile: -hostile}, name=HOSTILE)._repr_html_()
    assert "script" not in Page(shown).tags and r"\mathrm{\lt script\gt a\_b\%}" in (
        "".join(Page(shown).words)
    )


def test_long_formulas_are_shrunk_to_the_page(tmp_path: Path) -> None:
    long = r"\left(" + " + ".join(f"x_{{{n}}}" for n in range(80)) + r"\right)^{2}"
    assert fitted(f"p &= 1 \\\\\nq &= {long} && \\text{{sum}} \\\\\n{long} &= r") == (
        f"\\beside{{\\fit{{0.4\\linewidth}}{{{long} }}\\text{{sum}}}}\n\\begin{{align*}}\n"
        f"p &= 1 \\\\\nq &\\fit{{\\room}}{{= {long}}} && \\text{{sum}} \\\\\n"
        f"\\fit{{0.4\\linewidth}}{{{long} }}&= r\n\\end{{align*}}"
    )
    x = sd.states("x", 60)
    total = sp.Integral((sum(x) + 1) ** 2, (sp.Symbol("t"), 0, 1))
    lines = (Line(x[0], total, "a remark"), Line(total, x[0]), Line(x[1], x[2]))
    part = mathematics("Formulas", (Section("Long ones", lines),))
    write(Document("Title", "words", (part,)), tmp_path / "page.tex")
    if shutil.which("pdflatex") is None:
        pytest.skip("there is no pdflatex")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    log = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "Overfull" not in log.stdout


def test_programs_in_latex_keep_their_words_and_the_page() -> None:
    terms = " + ".join(f"x{n}*y{n}" for n in range(60))
    text = f"a = 1\n    return {terms}\n\n# \\end{{verbatim}}\n"
    shown = verbatim(text)
    assert max(map(len, shown.splitlines())) <= 120
    assert shown.replace("end {", "end{").split() == text.split()
    assert shown.startswith("a = 1\n    return x0*y0 + ")
    assert all(row.startswith("        ") for row in shown.splitlines()[2:-2])
    assert "\\end{verbatim}" not in shown and shown.endswith("# \\end {verbatim}\n")


def _others() -> dict[str, sd.Action]:
    x = sd.state("x", start=(0.1, 2.0))
    known = sd.state("x", start=(0.1, 2.0), prior=sd.Normal(1.0, 1.0))
    log = sd.state("x", start=(0.1, 2.0), scale="log")
    k, s = sd.parameters("k s", bounds=(0.01, 10.0))
    u = sd.control("u", cost=1.0)
    return {
        "the noise": sd.Action(sd.Model({x: -k * x}), {"x": sd.Normal(x, s)}),
        "the prior of x": sd.Action(sd.Model({known: -k * known}), [known]),
        "the scale of the state x": sd.Action(sd.Model({log: -k * log}), [log]),
        "the control 'u'": sd.Action(sd.Model({x: u - k * x}), [x]),
        "the event 'halve'": sd.Action(sd.Model({x: -k * x}, events={"halve": {x: x / 2}}), [x]),
    }


@pytest.mark.parametrize("why", _others())
def test_what_is_not_derived_is_named(why: str, tmp_path: Path) -> None:
    """Equations of sums of squares only are left out with the reason, never with the report."""
    text = (_others()[why].report(tmp_path / "page.md")).read_text()
    assert "Left out." in text
    assert why in text
