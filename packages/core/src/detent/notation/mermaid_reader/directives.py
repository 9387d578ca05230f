"""Directives, such as `%%{init: {"theme": "dark"}}%%`: what Mermaid is told about how to draw."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from detent.notation.mermaid_reader.source import BLANK, BLANKS, Source
from detent.problems import Problem

_DIRECTIVE = re.compile(
    rf"%%\{{[{BLANK}]*(?:(?P<name>\w+)[{BLANK}]*:|(?P<alone>\w+))[{BLANK}]*(?P<word>\w+[{BLANK}]*)?", re.ASCII
)
_SETTING = frozenset({"init", "initialize"})
"""The directives whose JSON Mermaid reads."""


@dataclass(frozen=True, slots=True)
class Directive:
    """One directive, and where it stands."""

    name: str
    span: tuple[int, int]
    """Where it begins and ends."""
    body_at: int
    body: str
    """What it says behind its name; empty where that is nothing, or a word alone."""


def find_directives(text: str) -> Iterator[Directive]:
    """All directives, in order; one that is not closed goes on to the end of the text."""
    at = text.find("%%{")
    while at >= 0:
        found = _DIRECTIVE.match(text, at)
        if found is None:
            at = text.find("%%{", at + 3)
            continue
        body_end, end = _ends(text, found)
        name = found["name"] or found["alone"]
        yield Directive(name, (at, end), found.end(), text[found.end() : body_end])
        at = text.find("%%{", end)


def faults(directive: Directive, source: Source) -> Iterator[Problem]:
    """The warning of settings that Mermaid cannot read, and leaves out without a word; at most one."""
    # Mermaid takes quotes of both kinds for the same.
    body = directive.body.replace("'", '"').rstrip(BLANKS)
    if directive.name not in _SETTING or not body:
        return
    try:
        json.loads(body, parse_constant=_refuse)
        return
    except json.JSONDecodeError as error:
        at, said = error.pos, error.msg
    except (ValueError, RecursionError) as error:
        at, said = 0, str(error)
    message = f"Mermaid reads none of its directives, because this one is no JSON: {said}"
    hint = """write `%%{init: {"theme": "dark"}}%%`, or `config:` in the front matter"""
    yield Problem(str(source.place(directive.body_at + at)), "unreadable_directive", message, hint, "warning")


def _ends(text: str, found: re.Match[str]) -> tuple[int, int]:
    """Where what it says ends, and where itself: a word alone needs no closing, anything else goes on until there is one."""
    if found["word"] is not None:
        return found.end(), found.end() + (3 if text.startswith("}%%", found.end()) else 0)
    end = text.find("}%%", found.end())
    return (len(text), len(text)) if end < 0 else (end, end + 3)


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
