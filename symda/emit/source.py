"""`Source`: the text of one emitted module and the digest that names it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from symda.errors import InputError

PLACEHOLDER = "__DIGEST__"
DIGEST_DIGITS = 12

_STEM = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Source:
    """One emitted Cython module, in memory.

    A text cannot contain its own digest, so templates write the token ``__DIGEST__`` where
    the digest belongs (module and symbol names that must differ between models); `Source.of` hashes
    the text with the token in place and then fills it in.

    Raises
    ------
    InputError
        `name` and `digest` do not belong together or are malformed.
    """

    #: Module name: an ASCII identifier that ends in ``_`` and the first 12 digits of `digest`.
    name: str
    text: str  #: The Cython source.
    digest: str  #: SHA-256 of the text before the digest was filled in, 64 hexadecimal digits.

    def __post_init__(self) -> None:
        """Check that the name is safe in C and Python and carries the digest."""
        if not _DIGEST.fullmatch(self.digest):
            raise InputError(
                f"Source: digest must be 64 lower-case hexadecimal digits, got {self.digest!r}. "
                "Make sources with Source.of(stem, text)."
            )
        suffix = f"_{self.digest[:DIGEST_DIGITS]}"
        if not _STEM.fullmatch(self.name) or not self.name.endswith(suffix):
            raise InputError(
                f"Source: name must be an ASCII identifier ending in {suffix!r}, "
                f"got {self.name!r}. Make sources with Source.of(stem, text)."
            )

    @classmethod
    def of(cls, stem: str, text: str) -> Source:
        """Name and complete an emitted text.

        Parameters
        ----------
        stem : str
            Readable beginning of the module name, for example ``lorenz96_rk4``.
        text : str
            Cython source, with ``__DIGEST__`` where the digest belongs.

        Returns
        -------
        Source
            Equal arguments give equal sources on every machine.

        Raises
        ------
        InputError
            `stem` is not an ASCII identifier.
        """
        if not _STEM.fullmatch(stem):
            raise InputError(
                f"Source.of: stem must be an ASCII identifier (letters, digits, underscores, no "
                f"leading digit), got {stem!r}. Pass it through symda.names first."
            )
        digest = hashlib.sha256(text.encode()).hexdigest()
        short = digest[:DIGEST_DIGITS]
        return cls(f"{stem}_{short}", text.replace(PLACEHOLDER, short), digest)

    @property
    def stem(self) -> str:
        """The name without its digest."""
        return self.name[: -DIGEST_DIGITS - 1]
