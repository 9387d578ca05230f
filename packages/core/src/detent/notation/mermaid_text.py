"""What Mermaid may be given: texts in which it finds nothing to misread, and ids it knows no other meaning for.

Mermaid goes over a label several times: it hides entities, cuts out comments and directives, splits by the grammar of
the diagram, and reads what is left as Markdown. Each pass has words and signs of its own, so a text keeps only letters,
digits, spaces and the few signs that none of them minds; the rest is written as an entity such as `#35;`, which only
the finished picture turns back. No text contains `<` or `&`, so that a diagram is harmless inside HTML, too.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import count

RESERVED = frozenset(
    # words of Mermaid's grammars
    "accdescr acctitle as bt call class classdef click default direction end flowchart fork graph hide href interpolate "  # noqa: SIM905
    "join linkstyle lr note o rl root_end root_start scale start state style subgraph tb td x "
    # what every JavaScript object has: the layout looks nodes up in plain objects, and fails on these
    "constructor hasownproperty isprototypeof propertyisenumerable prototype tolocalestring tostring valueof".split()
)
"""Words that mean something to Mermaid; case does not count."""

_SAFE_ID = re.compile(
    r"""
    (?!LR|RL|TB|BT|TD)           # `direction LR` is looked for across line ends ...
    [A-Za-z][A-Za-z0-9_]{0,79}
    (?<!direction)               # ... and would be found in `a --> redirection` above `LRU --> b`
    """,
    re.VERBOSE | re.IGNORECASE,
)
_UNSAFE = re.compile(
    r"""
      [^\w \-.,()\[\]/'?]                                  # other signs may end a statement or begin another
    | (?<=directio)n(?=\s+(?:LR|RL|TB|BT|TD)|$)            # looked for in whole lines, labels included
    | (?<![^\W_])_ | _(?![^\W_])                           # Markdown: emphasis, unless inside a word
    | (?<!\w)[-.] | -(?!\w) | (?<=\d)[.)](?!\w)           # Markdown: lists; Mermaid: arrows
    | (?<=www)\. | (?<=\])\(                               # Markdown: links
    | \[(?=\[) | \](?=\])                                 # Mermaid: `state [[fork]]`, looked for inside quotes, too
    """,
    re.VERBOSE | re.IGNORECASE,
)


def escaped(text: str) -> str:
    """The text such that Mermaid shows it unchanged: in a label, in quotes, or after a colon."""
    return _UNSAFE.sub(_entity, text)


def _entity(found: re.Match[str]) -> str:
    char = found[0]
    if char.isprintable() and not char.isascii():
        return char
    return "#quot;" if char == '"' else f"#{ord(char)};"


class Ids:
    """An id for every name: the name itself where that is safe, else one made from it; no two names share one."""

    def __init__(self, names: Iterable[str]) -> None:
        self._ids = {name: name for name in names if is_safe(name)}
        self._used = set(self._ids)
        self._numbers: dict[str, Iterator[int]] = {}

    def __getitem__(self, name: str) -> str:
        if name not in self._ids:
            self._ids[name] = self.new(f"s_{_slug(name)}")
        return self._ids[name]

    def of_event(self, state: str, event: str) -> str:
        """A new id for an event of a state."""
        return self.new(f"{self[state]}__{_slug(event) or 'event'}")

    def new(self, wanted: str) -> str:
        """The safe id nearest to `wanted` that was not given out before."""
        stem = wanted.rstrip("_")
        # Goes on where the last one of this stem was found, so that many names alike do not search through one another.
        numbers = self._numbers.setdefault(stem, count(1))
        candidates = (stem if number == 1 else f"{stem}_{number}" for number in numbers)
        found = next(candidate for candidate in candidates if is_safe(candidate) and candidate not in self._used)
        self._used.add(found)
        return found


def is_safe(name: str) -> bool:
    """Whether the name can be its own id."""
    return _SAFE_ID.fullmatch(name) is not None and name.casefold() not in RESERVED


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", name)[:30].strip("_")
