"""What the tests of reports share: a reader of pages that accepts no slip."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

VOID = {"meta", "img", "br", "hr", "link", "input"}


@dataclass
class Page(HTMLParser):
    """The elements of a page; tags that do not match are an error."""

    text: str
    ids: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    headings: list[tuple[str, str]] = field(default_factory=list)
    cells: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.feed(self.text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            elif name == "href":
                (self.links if (value or "").startswith("#") else self.loads).append(value or "")
            elif name in ("src", "srcset", "action", "data", "poster"):
                self.loads.append(value or "")
            assert not name.startswith("on"), f"{tag} has {name}"
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("h1", "h2", "h3"):
            self.headings.append((tag, ""))
        if tag in ("td", "dd", "dt", "th"):
            self.cells.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self.open and self.open[-1] in ("h1", "h2", "h3"):
            tag, said = self.headings.pop()
            self.headings.append((tag, said + data))
        if self.open and self.open[-1] in ("td", "dd", "dt", "th"):
            self.cells[-1] += data

    @property
    def maths(self) -> list[ElementTree.Element]:
        found = re.findall(r"<math\b.*?</math>", self.text, re.DOTALL)
        return [ElementTree.fromstring(one) for one in found]

    @property
    def fact(self) -> dict[str, str]:
        """Names and what stands beside them."""
        pairs = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", self.text)
        return dict(pairs)


def read(path: Path) -> Page:
    """Read a page and check what holds for every one: it is whole and needs nothing else."""
    page = Page(path.read_text(encoding="utf-8"))
    assert page.text.startswith("<!DOCTYPE html>") and '<html lang="en">' in page.text
    assert all(load.startswith("data:") for load in page.loads)
    assert "://" not in re.sub(r">[^<]*<", "><", page.text)  # but for words
    assert not re.findall(r"@import|url\((?!#)", page.text)
    assert "script" not in page.tags and "link" not in page.tags and "iframe" not in page.tags
    assert len(set(page.ids)) == len(page.ids)
    assert {link[1:] for link in page.links} <= set(page.ids)
    assert [tag for tag, _ in page.headings].count("h1") == 1
    assert len(page.text.encode()) < 2_000_000
    return page
