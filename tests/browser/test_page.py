"""The pages as a browser lays them out: `make browser`."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from chromium import Browser
from pages import PAGES

NAMES = tuple(PAGES)
WIDTHS = (400, 800, 1400)

# What sticks out of the window, unless something around it scrolls or hides it.
STICKS_OUT = """
const scrolls = one => {
  for (let at = one.parentElement; at; at = at.parentElement) {
    const how = getComputedStyle(at).overflowX;
    if (at.tagName !== 'HTML' && at.tagName !== 'BODY' && how !== 'visible') return true;
    if (at.tagName.toLowerCase() === 'svg') return true;
  }
  return false;
};
return [...document.querySelectorAll('body *')].filter(one => {
  const box = one.getBoundingClientRect();
  return box.width > 0 && box.right > document.documentElement.clientWidth + 0.5
    && !scrolls(one);
}).map(one => one.tagName + '.' + one.className + ': ' + one.textContent.slice(0, 40));
"""
# Boxes that scroll but reach beyond their own parent.
ESCAPES = """
return [...document.querySelectorAll('.scroll, pre.code, figure, table, dl')].filter(one => {
  const inside = one.closest('.scroll') !== one && one.closest('.scroll');
  const box = one.getBoundingClientRect(), room = one.parentElement.getBoundingClientRect();
  return !inside && box.width > 0 && box.right > room.right + 1;
}).map(one => one.tagName + '.' + one.className);
"""
# Words and their ground, as (ink, ground, words).
COLOURS = """
const ground = one => {
  for (let at = one; at; at = at.parentElement) {
    const colour = getComputedStyle(at).backgroundColor;
    if (!/rgba\\(.*, 0\\)|transparent/.test(colour)) return colour;
  }
  return 'rgb(255, 255, 255)';
};
const texts = 'p, dt, dd, td, th, h1, h2, h3, summary, nav a, caption, pre.code span, math mi';
return [...document.querySelectorAll(texts)].filter(one => one.textContent.trim()).map(
  one => [getComputedStyle(one).color, ground(one), one.tagName + ' ' + one.className]);
"""


@pytest.mark.parametrize("name", NAMES)
def test_formulas_are_laid_out(browser: Browser, pages: dict[str, Path], name: str) -> None:
    browser.open(pages[name], 1400)
    browser.unfold()
    boxes = browser.ask(
        "return [...document.querySelectorAll('math')].map(one => {"
        "const box = one.getBoundingClientRect(); return [box.width, box.height]})"
    )
    assert len(boxes) > {"network": 7}.get(name, 15)
    assert all(width > 5 and height > 8 for width, height in boxes)
    # a fraction that is laid out is higher than its parts: the browser knows MathML
    fractions = browser.ask(
        "return [...document.querySelectorAll('mfrac')].map(one => [one, ...one.children].map("
        "part => part.getBoundingClientRect().height))"
    )
    assert fractions
    assert all(whole > max(top, bottom) + 1 for whole, top, bottom in fractions)


@pytest.mark.parametrize("name", NAMES)
def test_figures_are_there(browser: Browser, pages: dict[str, Path], name: str) -> None:
    browser.open(pages[name], 800)
    boxes = browser.ask(
        "return [...document.querySelectorAll('figure .drawing > *')].map(one => {"
        "const box = one.getBoundingClientRect(); return [one.tagName, box.width, box.height]})"
    )
    least = {"run": 1 + 1 + 11 + 3, "lattice": 1, "network": 1}.get(name, 3)
    assert len(boxes) >= least
    assert all(width > 100 and height > 50 for _, width, height in boxes)
    described = browser.ask(
        "return [...document.querySelectorAll('figure .drawing')].map(one => "
        "one.getAttribute('aria-label') || one.querySelector('img').alt)"
    )
    assert all(len(words) > 20 for words in described)
    # lines of drawings have a colour that the style sheet knows
    assert browser.ask(
        "return [...document.querySelectorAll('figure svg path')].every("
        "one => getComputedStyle(one).stroke !== '' )"
    )


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", NAMES)
def test_nothing_sticks_out(
    browser: Browser, pages: dict[str, Path], screenshots: Path, name: str, width: int
) -> None:
    browser.open(pages[name], width)
    browser.picture(screenshots / f"{name}-{width}.png")
    browser.unfold()
    wide, room = browser.ask("return [document.documentElement.scrollWidth, window.innerWidth]")
    assert wide <= room
    assert browser.ask(STICKS_OUT) == []
    assert browser.ask(ESCAPES) == []


@pytest.mark.parametrize("name", NAMES)
def test_headings_stand_in_order_and_contents_lead_to_them(
    browser: Browser, pages: dict[str, Path], name: str
) -> None:
    browser.open(pages[name], 1400)
    levels = browser.ask(
        "return [...document.querySelectorAll('h1, h2, h3, h4')].map(one => +one.tagName[1])"
    )
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert browser.ask("return document.documentElement.lang") == "en"
    missing = browser.ask(
        "return [...document.querySelectorAll('nav a')].filter(one => "
        "!document.querySelector(`[id='${one.hash.slice(1)}'] :is(h2, h3)`)).map(one => one.hash)"
    )
    assert missing == []
    repeated = browser.ask(
        "const ids = [...document.querySelectorAll('[id]')].map(one => one.id);"
        "return ids.filter((id, n) => ids.indexOf(id) !== n)"
    )
    assert repeated == []


def test_contents_stay_in_sight_where_there_is_room(
    browser: Browser, pages: dict[str, Path]
) -> None:
    for width, stays in ((1400, True), (800, False)):
        browser.open(pages["run"], width)
        browser.ask(
            "document.documentElement.style.scrollBehavior = 'auto';window.scrollTo(0, 2500)"
        )
        top = browser.ask("return document.querySelector('nav').getBoundingClientRect().top")
        assert (top >= 0) is stays


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["run", "failed", "network"])
def test_words_stand_out_from_their_ground(
    browser: Browser, pages: dict[str, Path], screenshots: Path, name: str, scheme: str
) -> None:
    browser.open(pages[name], 1400, scheme)
    browser.unfold()
    if scheme == "dark":
        browser.picture(screenshots / f"{name}-dark.png")
        browser.open(pages[name], 400, scheme)
        browser.picture(screenshots / f"{name}-dark-400.png")
        browser.unfold()
    faint = {
        (words, ink, ground)
        for ink, ground, words in browser.ask(COLOURS)
        if contrast(ink, ground) < 4.5
    }
    assert faint == set()
    ink, paper = browser.ask(
        "const style = getComputedStyle(document.body); return [style.color, style.backgroundColor]"
    )
    assert (luminance(paper) < luminance(ink)) is (scheme == "dark")
    if name == "run":
        drawn = browser.ask(
            "return getComputedStyle(document.querySelector('figure svg text')).fill"
        )
        assert contrast(drawn, paper) > 7


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_fetched_and_nothing_fails(
    browser: Browser, pages: dict[str, Path], name: str
) -> None:
    browser.complaints()
    browser.open(pages[name], 800)
    assert browser.complaints() == []
    assert (
        browser.ask(
            "return performance.getEntriesByType('resource').map(one => one.name)"
            ".filter(one => !one.startsWith('data:'))"
        )
        == []
    )
    assert browser.ask("return document.scripts.length") == 0
    assert pages[name].stat().st_size < 2_000_000


def test_names_that_look_like_markup_are_text(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["failed"], 800)
    assert browser.ask("return document.title") == "</title><script>alert(2)</script>"
    assert browser.ask("return document.querySelector('h1').textContent") == (
        "</title><script>alert(2)</script>"
    )
    cells = browser.ask("return [...document.querySelectorAll('td')].map(one => one.textContent)")
    assert {"x<script>alert(1)</script>", "k$&"} <= set(cells)


def luminance(colour: str) -> float:
    """Relative luminance of the Web Content Accessibility Guidelines 2.1."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Contrast ratio of the same guidelines, 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
