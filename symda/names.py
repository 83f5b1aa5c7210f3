"""Names that are safe in C, Python and Cython, made from the names people write."""

from __future__ import annotations

import builtins
import hashlib
import keyword
import re
import unicodedata
from collections.abc import Iterable

_C_KEYWORDS = """
    auto break case char const continue default do double else enum extern float for goto if inline
    int long register restrict return short signed sizeof static struct switch typedef union
    unsigned void volatile while alignas alignof asm bool constexpr false nullptr static_assert
    thread_local true typeof typeof_unqual atomic complex imaginary noreturn generic
"""
# Macros of the headers that a Cython module or <math.h> brings in, whatever their letter case.
_C_MACROS = """
    I NULL EOF NAN INFINITY HUGE HUGE_VAL MAXFLOAT BUFSIZ RAND_MAX DOMAIN SING OVERFLOW UNDERFLOW
    PLOSS TLOSS M_E M_LOG2E M_LOG10E M_LN2 M_LN10 M_PI M_PI_2 M_PI_4 M_1_PI M_2_PI M_2_SQRTPI
    M_SQRT2 M_SQRT1_2 DBL_MAX DBL_MIN DBL_EPSILON FLT_MAX FLT_MIN FLT_EPSILON INT_MAX INT_MIN
    LONG_MAX LONG_MIN SIZE_MAX EDOM ERANGE errno assert stdin stdout stderr signbit unix linux
    likely unlikely offsetof setjmp CYTHON_INLINE CYTHON_UNUSED CYTHON_RESTRICT
"""
_C_MATH = """
    acos acosh asin asinh atan atan2 atanh cbrt ceil copysign cos cosh erf erfc exp exp2 exp10
    expm1 fabs fdim floor fma fmax fmin fmod frexp gamma hypot ilogb isfinite isinf isnan isnormal
    j0 j1 jn ldexp lgamma llrint llround log log10 log1p log2 logb lrint lround modf nan nearbyint
    nextafter remainder remquo rint round scalbn signgam sin sinh sqrt tan tanh tgamma trunc y0 y1
    yn abs labs div exit free malloc calloc realloc memcpy memset main printf time clock index
"""
_CYTHON = """
    api by cdef cimport cpdef ctypedef cppclass extern fused gil include inline new nogil noexcept
    packed property public readonly typeid nonlocal DEF IF ELIF ELSE Py_ssize_t size_t ssize_t
    bint uchar uint ulong ulonglong longlong longdouble object
"""
_RESERVED = frozenset(
    {
        *_C_KEYWORDS.split(),
        *_C_MACROS.split(),
        *_C_MATH.split(),
        *_CYTHON.split(),
        *keyword.kwlist,
        *keyword.softkwlist,
        *dir(builtins),
    }
)
#: Letters of a module's name; files, with what is added to it, have at most 255.
LONGEST = 100
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
# C keeps names with two underscores or _t endings and these prefixes for itself, Python and Cython.
_TAKEN = re.compile(r"(?:Py|PY|CYTHON)_?[A-Z_]\w*|\w*__\w*|\w+_t")
_LETTER = re.compile(r"(?:GREEK|CYRILLIC|HEBREW) (SMALL|CAPITAL)? ?(?:LETTER )(?:FINAL )?(\w+)")


def mangle(names: Iterable[str]) -> dict[str, str]:
    """Map names to identifiers that are safe in C, Python and Cython.

    A name that is safe already stays as it is, whatever the other names are. The others are spelt
    out (`λ` becomes `lambda_`, `x[0]` becomes `x_0`) and numbered where two would coincide.

    Parameters
    ----------
    names : iterable of str
        Names in the order of the model. Repetitions count once.

    Returns
    -------
    dict
        name -> identifier, in the order given; identifiers are distinct. The same names in the
        same order always give the same identifiers.
    """
    ordered = list(dict.fromkeys(names))
    safe = {name for name in ordered if _is_safe(name)}
    taken = set(safe)
    mangled: dict[str, str] = {}
    for name in ordered:
        if name in safe:
            mangled[name] = name
            continue
        stem = candidate = _spell(name)
        count = 1
        while candidate in taken:
            count += 1
            candidate = f"{stem.rstrip('_')}_{count}"
        taken.add(candidate)
        mangled[name] = candidate
    return mangled


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
    word = _spell(f"{_ascii(model_name)}_{_ascii(scheme)}".lower())
    if len(word) <= LONGEST:
        return word
    digest = hashlib.sha256(f"{model_name}\0{scheme}".encode()).hexdigest()[:8]
    return f"{word[: LONGEST - 9].rstrip('_')}_{digest}"


def _is_safe(name: str) -> bool:
    return (
        _PLAIN.fullmatch(name) is not None
        and name not in _RESERVED
        and _TAKEN.fullmatch(name) is None
    )


def _spell(name: str) -> str:
    """Return a safe identifier that resembles `name`; not necessarily unique."""
    word = re.sub(r"_+", "_", re.sub(r"[^A-Za-z0-9]", "_", _ascii(name))).strip("_")
    if not word or not word[0].isalpha():
        word = f"v{word}"
    return word if _is_safe(word) else f"{word}_"


def _ascii(name: str) -> str:
    """Spell out letters that are not ASCII: Greek by name, accents dropped, the rest by number."""
    return "".join(_ascii_character(character) for character in unicodedata.normalize("NFC", name))


def _ascii_character(character: str) -> str:
    if character.isascii():
        return character
    letter = _LETTER.match(unicodedata.name(character, ""))
    if letter:
        case, word = letter.groups()
        # Unicode spells the letter LAMDA.
        word = "lambda" if word == "LAMDA" else word.lower()
        return word.capitalize() if case == "CAPITAL" else word
    base = "".join(c for c in unicodedata.normalize("NFKD", character) if c.isascii())
    return base or f"u{ord(character):x}"
