"""Texts of a diagram as a person sees them: entities decoded, `<br/>` a line end, other HTML left out."""

import html
import re
from html.entities import html5

from detent.notation.mermaid_reader.source import BLANKS, ENTITY_END, ENTITY_START

_ENTITY = re.compile(f"{ENTITY_START}(\\w+){ENTITY_END}", re.ASCII)
_BREAK = re.compile(r"<br\s*/?>|\\n", re.IGNORECASE)
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")


def as_written(text: str) -> str:
    """The text with its entities as they were written: `#35;`."""
    return text.replace(ENTITY_START, "#").replace(ENTITY_END, ";")


def of_id(text: str) -> str:
    """The name that an id is."""
    return _decoded(text).strip(BLANKS)


def one_line(text: str) -> str:
    """The text on one line, for names and labels."""
    return _decoded(_TAG.sub("", _BREAK.sub(" ", text))).strip(BLANKS)


def lines(text: str) -> str:
    """The text with its lines, for descriptions."""
    seen = _decoded(_TAG.sub("", _BREAK.sub("\n", text)))
    return "\n".join(line.strip(BLANKS) for line in seen.strip(BLANKS).split("\n"))


def _decoded(text: str) -> str:
    return _ENTITY.sub(_char, text) if ENTITY_START in text else text


def _char(found: re.Match[str]) -> str:
    name = found[1]
    if not name.isdigit():
        return html.unescape(f"&{name};") if f"{name};" in html5 else as_written(found[0])
    number = int(name[:8])
    # Unlike `html.unescape`, every code point stands for itself, so that any name can be written down.
    return chr(number) if number <= 0x10FFFF and not 0xD800 <= number <= 0xDFFF else "\ufffd"
