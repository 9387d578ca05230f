"""The signs before words in a flowchart: they catch the eye, and repeat what the words say already.

Not every font has them. Without them nothing is missing.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

SymbolsName: TypeAlias = Literal["unicode", "text"]
"""Signs before the words, or the words alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Symbols:
    """What stands before the words for a thing, with the space between them; empty for nothing."""

    timeout: str = ""
    guard: str = ""
    fails: str = ""
    hop: str = ""
    internal: str = ""
    success: str = ""
    failure: str = ""
    cancelled: str = ""
    now: str = ""


PLAIN = Symbols()
"""Words alone."""
SYMBOLS: dict[SymbolsName, Symbols] = {
    "text": PLAIN,
    "unicode": Symbols(
        timeout="\u25f7 ",
        guard="\u25c7 ",
        fails="\u2717 ",
        hop="\u00bb ",
        internal="\u21bb ",
        success="\u2713 ",
        failure="\u2717 ",
        cancelled="\u2298 ",
        now="\u25b6 ",
    ),
}
"""By name: a dial, a diamond, a ballot cross, an angle quote, a circling arrow, a tick, a struck circle and a triangle."""
