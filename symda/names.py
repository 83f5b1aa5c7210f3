"""Names that people can read, and names of modules made from them."""

from __future__ import annotations

import hashlib
import re
import unicodedata

#: Letters of a module's name; file names have at most 255.
LONGEST = 100
_LETTER = re.compile(r"(?:GREEK|CYRILLIC|HEBREW) (?:SMALL|CAPITAL)? ?(?:LETTER )(?:FINAL )?(\w+)")


def is_name(name: object) -> bool:
    """Whether people can read and print it: text on one line, without blanks around it.

    Control characters, those that turn the direction of writing and halves of surrogates are none.
    """
    return isinstance(name, str) and name.isprintable() and name.strip() == name != ""


def module_name(model_name: str, scheme: str) -> str:
    """Return the lower-case stem of the module that holds one model under one scheme.

    Files are called so. Of a long name the beginning stays, and a digest tells it from others.

    >>> module_name("Lorenz 96", "hermite-simpson")
    'lorenz_96_hermite_simpson'
    """
    spelt = _ascii(f"{model_name}_{scheme}").lower()
    word = re.sub(r"[^a-z0-9]+", "_", spelt).strip("_")
    if not word[:1].isalpha():
        word = f"v{word}"
    if len(word) <= LONGEST:
        return word
    digest = hashlib.sha256(f"{model_name}\0{scheme}".encode()).hexdigest()[:8]
    return f"{word[: LONGEST - 9].rstrip('_')}_{digest}"


def _ascii(name: str) -> str:
    """Spell out letters that are not ASCII: Greek by name, accents dropped, the rest by number."""
    return "".join(_ascii_character(character) for character in unicodedata.normalize("NFC", name))


def _ascii_character(character: str) -> str:
    if character.isascii():
        return character
    letter = _LETTER.match(unicodedata.name(character, ""))
    if letter:
        # Unicode spells the letter LAMDA.
        return letter[1].replace("LAMDA", "LAMBDA")
    base = "".join(c for c in unicodedata.normalize("NFKD", character) if c.isascii())
    return base or f"u{ord(character):x}"
