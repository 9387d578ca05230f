"""Names of a diagram as names of Python.

One rule for all: words are told apart by case, spaces and punctuation; signs that mean something are said as words
(`n >= 0` is `n_ge_0`); methods and modules are `snake_case`, types `PascalCase`.
"""

import re
import unicodedata

_SIGNS = {
    ">=": "ge",
    "<=": "le",
    "≥": "ge",
    "≤": "le",
    "!=": "ne",
    "≠": "ne",
    "==": "eq",
    "=": "eq",
    "<": "lt",
    ">": "gt",
    "&&": "and",
    "&": "and",
    "||": "or",
    "|": "or",
    "+": "plus",
    "%": "percent",
}
_SIGN = re.compile("|".join(map(re.escape, sorted(_SIGNS, key=len, reverse=True))))
_NOT = re.compile(r"(?<![^\W_])!(?=[^\W_])")
_MINUS = re.compile(r"(?<![^\W_])-(?=\d)")
_CASE = re.compile(r"(?<=[a-z\d])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NO_WORD = re.compile(r"\W+")


def snake(text: str) -> str:
    """The name of a method or a module: `chooseLeft` is `choose_left`. What is no name of Python then, is none."""
    normal = unicodedata.normalize("NFKC", text)
    said = _SIGN.sub(lambda found: f" {_SIGNS[found[0]]} ", _MINUS.sub(" minus ", _NOT.sub(" not ", normal)))
    return re.sub("_+", "_", _NO_WORD.sub("_", _CASE.sub("_", said))).strip("_").lower()


def pascal(name: str) -> str:
    """The name of a type, from that of a method: `choose_left` is `ChooseLeft`."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))
