"""Equations as MathML: complete, well formed, and of the elements that browsers render."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from xml.etree.ElementTree import Element, fromstring

import pytest
import sympy as sp
from models import COMPILED, polynomial
from sympy.printing.latex import modifier_dict, other_symbols, tex_greek_dictionary

import symda as sd
from symda.declare import State
from symda.declare.functions import KNOWN
from symda.typeset.display import (
    Line,
    Readable,
    Section,
    latex_part,
    mathml_of,
)
from symda.typeset.mathml import math, mathml

#: https://www.w3.org/TR/mathml-core/ as far as it is needed here.
CORE = set(
    "math mrow mi mn mo mtext mspace mfrac msqrt mroot msub msup msubsup munder mover munderover "
    "mtable mtr mtd".split()
)
TOKENS = {"mi", "mn", "mo", "mtext"}
ARITY = {"mfrac": 2, "msub": 2, "msup": 2, "munder": 2, "mover": 2, "mroot": 2}
ARITY |= {"msubsup": 3, "munderover": 3}


def lattice() -> sd.Model:
    i, j = sd.site("i", 3), sd.site("j", 4, boundary="zero")
    u = sd.states("u", (i, j))
    k = sd.parameter("kappa")
    return sd.Model({u[i, j]: k * (u[i + 1, j] + u[i, j - 1]) - u[i, j] * i}, name="<plane> & more")


def rates() -> sd.Model:
    V, w = sd.states(["V_m", "100% #1"])
    a = sd.parameter("a<b")
    rate = sp.Piecewise((1 / sd.exprel(-V), V > a), (sp.sqrt(w), V >= 0), (sp.Abs(w), True))
    return sd.Model({V: rate - sp.Mod(w, 2), w: sp.exp(-(V**2)) * sp.Min(V, w)}, name="rates")


MODELS: dict[str, Callable[[], sd.Model]] = {
    **{name: getattr(sd.models, name) for name in sd.models.__all__ if name.islower()},
    **{f.__name__: f for f in (lattice, rates)},
}


def check(element: Element) -> None:
    for part in element.iter():
        assert part.tag in CORE, part.tag
        assert len(part) == ARITY.get(part.tag, len(part))
        assert bool(part.text) is (part.tag in TOKENS)
        if part.tag == "mtr":
            assert {cell.tag for cell in part} == {"mtd"}


def visible(element: Element) -> str:
    return "".join(element.itertext())


def check_page(of: Readable) -> str:
    """Check all formulas, and of a long page some against their LaTeX; return it."""
    page = of.mathml()
    top = fromstring(f"<body>{page}</body>")
    formulas = list(top.iter("math"))
    lines = [line for section in of.sections for line in section.lines]
    assert [h.text for h in top.iter("h3")] == [section.title for section in of.sections]
    assert [p.text for p in top.iter("p")] == [s.note for s in of.sections if s.note]
    assert len(formulas) == len(lines)
    for formula in formulas:
        assert formula.get("display") == "block"
        check(formula)
    every = max(1, len(lines) // 25)
    for formula, line in list(zip(formulas, lines, strict=True))[::every]:
        check_complete(formula, line)
    assert "mfenced" not in page
    return page


def check_complete(formula: Element, line: Line) -> None:
    """Digits, names and fractions of the LaTeX are those of the formula."""
    latex = [latex_part(part, ordered=line.ordered) for part in (line.left, line.right)]
    source = re.sub(r"\\(begin|end)\{\w+\}", "", " ".join(latex))
    if line.comment:
        source += rf"\text{{{line.comment}}}"
    text = " ".join(formula.itertext())
    assert Counter(re.findall(r"\d", source)) == Counter(re.findall(r"\d", text))
    assert source.count(r"\frac") == len(list(formula.iter("mfrac")))
    assert source.count(r"\sum") == text.count("\N{N-ARY SUMMATION}")
    names = Counter(re.findall(r"(?<![\\A-Za-z])[A-Za-z]+", source))
    assert not names - Counter(re.findall(r"[A-Za-z]+", text))


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_the_equations_of_a_model(make: Callable[[], sd.Model]) -> None:
    model = make()
    of = sd.Action(model, [model.states[0]]).equations()
    page = check_page(of)
    if make is not lattice:
        for symbol in (*model.states, *model.parameters, *model.forcing):
            inner = set_as(latex_part(symbol))
            assert inner in page, symbol


@pytest.mark.parametrize("case", COMPILED, ids=lambda case: f"{case[0].D} {case[1].name}")
def test_the_equations_of_random_models(case: tuple[object, object]) -> None:
    shape, scheme = case
    model, measured = polynomial(shape)
    options = {} if model.discrete else {"model_error": "rate"}
    check_page(sd.Action(model, measured, scheme=scheme, averaging="eq14", **options).equations())


@pytest.mark.parametrize("function", KNOWN, ids=lambda function: function.__name__)
def test_every_function_a_model_may_use(function: type[sp.Function]) -> None:
    x, y = sd.states("x y")
    arguments = {sp.Mod: (x, y), sp.atan2: (x, y), sp.Min: (x, y), sp.Max: (x, y)}
    if function is sp.Piecewise:
        value = sp.Piecewise((x, (x > 0) & (y <= 1)), (y**2, sp.Ne(x, 3) | (y < 2)), (0, True))
    else:
        value = function(*arguments.get(function, (x,)))
    formula = fromstring(math(latex_part(1 / value + value**2)))
    check(formula)
    assert "x" in visible(formula)


NAMES = [*tex_greek_dictionary, *other_symbols, *(f"V{accent}" for accent in modifier_dict)]
NAMES += ["ΔV", "V_m_0", "a__b", "100% #1", "a{b}", "x^2_", "back\\slash", "~a", "<b>&amp;"]


@pytest.mark.parametrize("name", sorted(NAMES))
def test_any_name_can_be_set(name: str) -> None:
    formula = fromstring(math(latex_part(State(name))))
    check(formula)
    assert visible(formula)
    if not name.isalnum() and "_m" not in name:
        assert visible(formula) == name


def set_as(latex: str) -> str:
    return math(latex).removeprefix('<math display="block">').removesuffix("</math>")


def test_scripts_fractions_and_products() -> None:
    assert set_as("x_{a}^{2}") == "<msubsup><mi>x</mi><mi>a</mi><mn>2</mn></msubsup>"
    gap = '<mspace width="0.17em" />'
    assert set_as("gK n") == f"<mrow><mi>gK</mi>{gap}<mi>n</mi></mrow>"
    assert set_as(r"\frac{1}{x}") == "<mfrac><mn>1</mn><mi>x</mi></mfrac>"
    assert set_as("- 2.5") == "<mrow><mo>\N{MINUS SIGN}</mo><mn>2.5</mn></mrow>"
    assert set_as(r"\mathbf{x}") == '<mi mathvariant="normal" style="font-weight: bold">x</mi>'
    assert set_as(r"\sum_{n=0}^{N} n").startswith("<mrow><munderover><mo>∑</mo>")
    assert set_as(r"\int\limits_{0}^{1} n").startswith("<mrow><munderover><mo>∫</mo>")
    assert set_as(r"\int_{0}^{1} n").startswith("<mrow><msubsup><mo>∫</mo>")
    # an applied function stands close to its bracket, a factor does not
    assert gap not in set_as(r"f{\left(x\right)}")
    assert gap in set_as(r"f \left(x\right)")


def test_long_sides_are_broken_where_latex_breaks_them() -> None:
    terms = [sp.Symbol(f"quantity_{n}") ** n for n in range(2, 30)]
    line = Line(sp.Symbol("y"), sp.Add(*terms), comment="all < of them")
    (formula,) = fromstring(mathml_of([Section("Long", (line,))])).iter("math")
    check(formula)
    rows = list(formula.iter("mtr"))
    assert len(rows) > 1
    latex = sd.typeset.display.latex_of([Section("Long", (line,))])
    assert len(rows) == latex.count("\\\\\n") + 1
    assert visible(rows[0][0]) == "y="
    assert all(visible(row[1]).startswith("+") for row in rows[1:])
    assert visible(formula).endswith("all < of them")
    assert visible(formula).count("quantity") == len(terms)


def test_titles_and_notes_are_escaped() -> None:
    page = mathml_of([Section("<script>", (), "a < b & c")])
    assert page == ("<section>\n<h3>&lt;script&gt;</h3>\n<p>a &lt; b &amp; c</p>\n</section>\n")


@pytest.mark.parametrize("latex", [r"\unheard{x}", "{x", "x}", r"\left(x", r"\text{a", "a & b"])
def test_what_the_printer_does_not_write_is_refused(latex: str) -> None:
    with pytest.raises(ValueError, match="LaTeX"):
        mathml(latex)
