"""`Source`: names and digests."""

from __future__ import annotations

import hashlib
import re

import pytest

from symda.build import write_source
from symda.emit import Source
from symda.errors import InputError, OptionError

TEXT = "def version():\n    return '__DIGEST__'\n"


def test_the_digest_is_that_of_the_text_before_it_is_filled_in():
    source = Source.of("lorenz96_rk4", TEXT)
    digest = hashlib.sha256(TEXT.encode()).hexdigest()
    assert source.digest == digest
    assert source.name == f"lorenz96_rk4_{digest[:12]}"
    assert source.stem == "lorenz96_rk4"
    assert source.text == f"def version():\n    return '{digest[:12]}'\n"


def test_equal_texts_give_equal_sources_and_others_do_not():
    assert Source.of("a", TEXT) == Source.of("a", TEXT)
    assert Source.of("a", TEXT).digest != Source.of("a", TEXT + "\n").digest


@pytest.mark.parametrize("stem", ["", "1st", "a-b", "a.b", "a b", "ψ"])
def test_a_stem_that_is_no_identifier_is_refused(stem):
    message = f"stem must be an ASCII identifier .* got {stem!r}. Pass it through symda.names"
    with pytest.raises(InputError, match=message):
        Source.of(stem, TEXT)


def test_name_and_digest_must_belong_together():
    source = Source.of("a", TEXT)
    suffix = f"_{source.digest[:12]}"
    message = f"ending in {suffix!r}, got 'a_000000000000'. Make sources with Source.of"
    with pytest.raises(InputError, match=re.escape(message)):
        Source("a_000000000000", source.text, source.digest)
    with pytest.raises(InputError, match="64 lower-case hexadecimal digits, got 'abc'"):
        Source("a_abc", source.text, "abc")


def test_written_sources_are_named_without_the_digest(tmp_path):
    source = Source.of("a", "# ψ\n" + TEXT)
    path = write_source(source, tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "a.pyx"
    assert path.read_bytes() == source.text.encode()


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OptionError, match=r"cannot be written to .*/file/a\.pyx .*Choose a folder"):
        write_source(Source.of("a", TEXT), tmp_path / "file")
