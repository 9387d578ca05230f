"""What stands above a diagram: the front matter, with its title and what the picture cannot say."""

import re
from dataclasses import dataclass, field
from typing import Any

from detent.definition.reading import read_json, read_yaml
from detent.errors import DefinitionInvalid
from detent.notation.mermaid_reader.passes import single_quotes
from detent.notation.mermaid_reader.source import BLANKS, Source
from detent.problems import Problem

_OPENING = re.compile(r"(?P<indent>[^\S\n]*)---[^\S\n]*\n")
_KEY = re.compile(r"([A-Za-z_][\w-]*)[ \t]*:(?:[ \t]+|$)(.*)", re.ASCII)
_PLAIN = re.compile(r"[^\W_][^#:\[\]{}&*!|>%@`,\"']*(?:[:,'\"](?=\S)[^#:\[\]{}&*!|>%@`,\"']*)*")
_TITLE = re.compile(r"[\"']?title[\"']?[ \t]*:")
_HEADER = re.compile(r"stateDiagram")
_IN_YAML = re.compile(r'\s+in "<unicode string>", line (\d+), column (\d+):?')
"""Where PyYAML met a fault, as it tells it."""
_FOREIGN = {
    "```": ("a Markdown fence", "give the text inside the fence, or read the file with `mermaid_blocks`"),
    "~~~": ("a Markdown fence", "give the text inside the fence, or read the file with `mermaid_blocks`"),
    "..": ("reStructuredText", "read the page with `mermaid_blocks`"),
    "@startuml": ("PlantUML", "write it as a Mermaid `stateDiagram-v2`"),
    "flowchart": ("a flowchart", "write it as a `stateDiagram-v2`"),
    "graph": ("a flowchart", "write it as a `stateDiagram-v2`"),
    "digraph": ("Graphviz", "write it as a Mermaid `stateDiagram-v2`"),
}


@dataclass(frozen=True, slots=True)
class Head:
    """The front matter of a diagram."""

    title: str | None = None
    details: dict[str, Any] = field(default_factory=dict)
    """What stands under `detent`: the rest of the definition, in its own spelling."""
    steps: dict[str, Any] = field(default_factory=dict)
    """What stands under `steps`: for each state how its work is taken, repeated and timed."""
    loops: bool = False
    """Whether steps may go round in a circle."""
    config: dict[str, Any] = field(default_factory=dict)
    """What stands under `config`, which is Mermaid's."""
    place: str = ""
    """The line and column of the title, or else of the front matter."""
    problems: tuple[Problem, ...] = ()


def take_head(source: Source) -> Head:
    """Cuts the front matter out of the text and reads it; raises `DefinitionInvalid` where it is not closed."""
    if source.text.startswith("\ufeff"):
        source.cut([(0, 1)])
    source.text = single_quotes(source.text)
    opening = _OPENING.match(source.text)
    if opening is None:
        return Head()
    end = _closing(source.text, opening)
    if end is None:
        hint = "end it with a line `---`"
        raise DefinitionInvalid(
            "?", [Problem(str(source.place(0)), "front_matter_not_closed", "the front matter is not closed", hint)]
        )
    indent = opening["indent"]
    body = source.text[opening.end() : end[0]]
    lines = [line.removeprefix(indent) for line in body.split("\n")]
    head = _read(lines, source.place(opening.end()).line)
    source.cut([(0, end[1])])
    return head


def check_kind(source: Source) -> None:
    """Raises `DefinitionInvalid` where the text is no state diagram, and says what it is."""
    text = source.text.lstrip(BLANKS)
    if _HEADER.match(text):
        return
    first = text.split("\n", 1)[0].strip(BLANKS)
    place = str(source.place(len(source.text) - len(text)))
    if first.startswith("---"):
        hint = "let the text begin with `---`, without a blank line above it"
        problem = Problem(place, "front_matter_not_first", "front matter is the very first line of a text", hint)
    elif not first:
        problem = Problem(
            str(source.place(0)), "no_diagram", "there is no diagram here", "begin with `stateDiagram-v2`"
        )
    else:
        problem = _foreign(first, place)
    raise DefinitionInvalid("?", [problem])


def _foreign(first: str, place: str) -> Problem:
    for start, (what, hint) in _FOREIGN.items():
        if first.startswith(start):
            return Problem(place, "not_a_state_diagram", f"this is {what}, no state diagram", hint)
    hint = "begin with `stateDiagram-v2`"
    return Problem(place, "not_a_state_diagram", f"{first[:40]!r} is no header of a state diagram", hint)


def _closing(text: str, opening: re.Match[str]) -> tuple[int, int] | None:
    """Where the line that closes the front matter begins, and where what follows it does."""
    fence, at = opening["indent"] + "---", text.find("\n", opening.end())
    while at >= 0:
        line_end = text.find("\n", at + 1)
        line = text[at + 1 : len(text) if line_end < 0 else line_end]
        if line.startswith(fence) and not line[len(fence) :].strip(BLANKS):
            return at, len(text) if line_end < 0 else line_end + 1
        at = line_end
    return None


def _read(lines: list[str], first_line: int) -> Head:
    values = _members(lines)
    if values is None:
        values = _yaml("\n".join(lines), first_line)
    if not isinstance(values, dict):
        message = "the front matter has no keys, so it says nothing"
        place = f"line {first_line}, column 1"
        return Head(problems=(Problem(place, "front_matter_unread", message, "write `title: …`", "warning"),))
    title, config = values.get("title"), values.get("config")
    place = f"line {first_line + _title_line(lines)}, column 1"
    if values.get("loops") not in (None, True, False, "true", "false"):
        message = "`loops` in the front matter is true or false"
        raise DefinitionInvalid("?", [Problem(place, "bad_loops", message, "write `loops: true`")])
    return Head(
        title=None if title is None else str(title),
        details=_object(values, "detent", place, "bad_details"),
        steps=_object(values, "steps", place, "bad_steps"),
        loops=values.get("loops") in (True, "true"),
        config=config if isinstance(config, dict) else {},
        place=place,
    )


def _title_line(lines: list[str]) -> int:
    """The index of the line that says the title; 0 where none does."""
    return next((index for index, line in enumerate(lines) if _TITLE.match(line)), 0)


def _object(values: dict[str, Any], key: str, place: str, code: str) -> dict[str, Any]:
    """What stands under a key, where it is an object or nothing; `DefinitionInvalid` else."""
    value = values.get(key)
    if value is not None and not isinstance(value, dict):
        raise DefinitionInvalid("?", [Problem(place, code, f"`{key}` in the front matter is an object", None)])
    return value or {}


def _members(lines: list[str]) -> dict[str, Any] | None:
    """The keys and values where each value is JSON or a plain word or two; `None` where it takes YAML to read them."""
    entries: list[tuple[str, list[str]]] = []
    for line in lines:
        found = _KEY.fullmatch(line)
        if found:
            entries.append((found[1], [found[2]]))
        elif line[:1] in (" ", "\t") and entries:
            entries[-1][1].append(line)
        elif line.strip(BLANKS) and not line.startswith("#"):
            return None
    values = {key: _value("\n".join(said)) for key, said in entries}
    return None if len(values) < len(entries) or None in values.values() else values


def _value(said: str) -> Any:
    """The value that JSON or a plain text says; `None` where it is neither."""
    said = said.strip(BLANKS)
    if said[:1] in ("{", '"'):
        try:
            return read_json(said)
        except DefinitionInvalid:
            return None
    return said if _PLAIN.fullmatch(said) else None


def _yaml(text: str, first_line: int) -> Any:
    try:
        return read_yaml(text)
    except DefinitionInvalid as error:
        problems = [_in_front_matter(each, first_line) for each in error.problems]
        raise DefinitionInvalid("?", problems) from None


def _in_front_matter(problem: Problem, first_line: int) -> Problem:
    """The problem of its YAML at its place in the whole text, where the parser says one."""
    *_, (line, column) = [(1, 1), *((int(found[1]), int(found[2])) for found in _IN_YAML.finditer(problem.message))]
    message = ": ".join(part for part in map(str.strip, _IN_YAML.sub("", problem.message).split("\n")) if part)
    hint = problem.hint or 'put a text that has signs of YAML into quotes, as in `title: "Orders: new"`'
    place = f"line {first_line + line - 1}, column {column}"
    return Problem(place, "unreadable_front_matter", message, hint)
