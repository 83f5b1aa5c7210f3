"""A document as one HTML page, as Markdown or as LaTeX, by the suffix of its file."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from symda.declare.typeset import mathjax
from symda.errors import OptionError, nearest
from symda.rendering import jinja_environment
from symda.show.report.document import Document, Figure, Gallery, Topic, slug
from symda.show.report.drawings import drawn, png, svg
from symda.show.report.tex import REPLACEMENT, escaped, fitted, letters, verbatim

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

#: Characters that Markdown may take for marks of its own.
_MARKS = re.compile(
    r"([\\`*_{}\[\]<>#|~$&!@]|:(?=//)|(?<=www)\.|^[-+=](?=\s|$)|(?<=^\d)[.)](?=\s))"
)
#: Suffix of a text -> form of the figures beside it, and how the stem of each looks.
FIGURES = {".md": "png", ".tex": "pdf"}
_NUMBERED = re.compile(r"\d{2,}-[a-z0-9-]+")


def check_target(path: str | os.PathLike[str]) -> Path:
    """Refuse a file that could not be written, before any work is done.

    Raises
    ------
    OptionError
        If its suffix is none of ``.html``, ``.md``, ``.tex``, its folder does not exist, or it is a
        folder itself.
    """
    name = Path(path).name if isinstance(path, (str, os.PathLike)) else ""
    if not name or "\0" in name:
        raise OptionError(f"report: expected the name of a file, such as 'run.html', got {path!r}.")
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in WRITERS:
        got = repr(target.suffix) if target.suffix else "none"
        raise OptionError(
            f"report: {str(target)!r}: the suffix chooses the form, expected one of "
            f"{', '.join(WRITERS)}, got {got}.{nearest(suffix, WRITERS)} "
            f"For a page write {str(target.with_suffix('.html'))!r}."
        )
    if not target.parent.is_dir():
        raise OptionError(
            f"report: there is no folder {str(target.parent)!r}. Make it first or choose another."
        )
    if target.is_dir():
        raise OptionError(f"report: {str(target)!r} is a folder; give the name of a file.")
    return target


def write(document: Document, path: str | os.PathLike[str]) -> Path:
    """Write a document and return its file; it appears whole or not at all.

    A page holds everything itself. Markdown and LaTeX have their figures beside them, in a folder
    called like the file, with ``_files`` behind; those of an earlier report leave it.

    Raises
    ------
    OptionError
        As `check_target`, or if the file cannot be written.
    """
    target = check_target(path)
    files = WRITERS[target.suffix.lower()](document, target)
    try:
        for file, content in files.items():
            file.parent.mkdir(exist_ok=True)
            draft = file.with_name(f".{file.name}.{os.getpid()}.part")
            try:
                draft.write_bytes(content)
                os.replace(draft, file)
            finally:
                draft.unlink(missing_ok=True)
        for left in set(_drawn_earlier(target)) - files.keys():
            left.unlink()
    except OSError as error:
        raise OptionError(
            f"report: {str(error.filename or target)!r} cannot be written ({error.strerror}). "
            "Choose another place; what the report is about is untouched."
        ) from error
    return target


def _html(document: Document, target: Path) -> dict[Path, bytes]:
    environment = _environment(html=True)
    numbers = {figure: f"f{n}" for n, figure in enumerate(_figures(document))}

    def picture(figure: Figure) -> Markup:
        from markupsafe import Markup

        return Markup(svg(figure, numbers[figure]))

    anchors = _anchors(document)
    text = environment.get_template("report/page.html.j2").render(
        document=document,
        anchor=lambda block: anchors[id(block)],
        svg=picture,
        png=png,
        highlight=_highlight,
        styles=_code_styles(),
    )
    return {target: text.encode()}


def _anchors(document: Document) -> dict[int, str]:
    """Return where links to parts and topics lead: 2-levels, 2-levels-1."""
    anchors: dict[int, str] = {}
    for n, part in enumerate(document.parts, 1):
        anchors[id(part)] = place = f"{n}-{slug(part.title)}"
        anchors |= {id(topic): f"{place}-{k}" for k, topic in enumerate(part.topics, 1)}
    return anchors


def _folder(target: Path) -> Path:
    """Return where figures go; its name is one that LaTeX and addresses take as it is."""
    return target.with_name(re.sub(r"[^\w.+-]+", "-", target.stem) + "_files")


def _drawn_earlier(target: Path) -> Iterator[Path]:
    """Yield the figures there are beside a text."""
    suffix = FIGURES.get(target.suffix.lower(), "none")
    for file in _folder(target).glob(f"*.{suffix}"):
        if _NUMBERED.fullmatch(file.stem):
            yield file


def _beside(suffix: str) -> Callable[[Document, Path], dict[Path, bytes]]:
    """Return the writer of a text that has its figures in files beside it."""
    kind, template = FIGURES[suffix], f"report/page{suffix}.j2"

    def written(document: Document, target: Path) -> dict[Path, bytes]:
        folder = _folder(target)
        names = {
            figure: f"{n:02d}-{figure.name}.{kind}"
            for n, figure in enumerate(_figures(document), start=1)
        }
        places = {figure: f"{folder.name}/{name}" for figure, name in names.items()}
        page = _environment(html=False).get_template(template)
        text = page.render(document=document, places=places, letters=[])
        # a preamble may have to declare what stands in the text
        text = page.render(document=document, places=places, letters=letters(text))
        files = {folder / name: drawn(figure, kind) for figure, name in names.items()}
        # the text last: where it is, its figures are
        return {**files, target: re.sub(r"\n{3,}", "\n\n", text).encode()}

    return written


#: Suffix -> what writes it.
WRITERS: Mapping[str, Callable[[Document, Path], dict[Path, bytes]]] = {
    ".html": _html,
    ".md": _beside(".md"),
    ".tex": _beside(".tex"),
}


def _figures(document: Document) -> Iterator[Figure]:
    for part in document.parts:
        for block in part.blocks:
            for leaf in block.blocks if isinstance(block, Topic) else (block,):
                if isinstance(leaf, Figure):
                    yield leaf
                elif isinstance(leaf, Gallery):
                    yield from leaf.figures


@cache
def _environment(*, html: bool) -> Environment:
    made = jinja_environment(escape=html)
    made.filters |= {"tex": escaped, "verbatim": verbatim, "marks": _marks, "fitted": fitted}
    made.filters |= {"fence": _fence, "display": _display}
    return made


def _marks(text: str) -> str:
    """Escape running text for Markdown."""
    line = "".join(c if c.isprintable() else REPLACEMENT for c in " ".join(text.split()))
    return _MARKS.sub(r"\\\1", line)


def _fence(text: str) -> str:
    """Return what a program stands between in Markdown: more signs than it has in a row."""
    return "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))


def _display(latex: str) -> str:
    """Return a formula that Markdown finds neither tags nor links in."""
    return mathjax(latex).replace("](", "]{}(")


def _highlight(text: str, language: str) -> Markup:
    """Return a program as HTML with a class for each kind of word."""
    from markupsafe import Markup
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import get_lexer_by_name

    formatter = HtmlFormatter(nowrap=True)
    return Markup(highlight(text, get_lexer_by_name(language), formatter))


def _code_styles() -> Mapping[str, Markup]:
    """Return the colours of programs, by day and by night."""
    from markupsafe import Markup
    from pygments.formatters import HtmlFormatter

    styles = {"light": "default", "dark": "github-dark"}
    return {
        name: Markup("\n".join(_rules(HtmlFormatter(style=style).get_style_defs("pre.code"))))
        for name, style in styles.items()
    }


def _rules(sheet: str) -> Iterator[str]:
    """Yield the rules of words only; the page has its own background."""
    for line in sheet.splitlines():
        if line.startswith("pre.code .") and "linenos" not in line and ".hll" not in line:
            # without the comment that names the kind of word
            yield line.partition(" /*")[0]
