"""Where in a file a part of a definition stands: the line and column of what a problem's path names."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from detent.definition.spelling import camel
from detent.definition.yaml_nodes import compose_yaml, yaml

_TOKEN = re.compile(r'[\[\]{},:]|"(?:\\.|[^"\\])*"|[^\s\[\]{},:"]+')
_INDEX = re.compile(r"\[(\d+)\]")

Place: TypeAlias = tuple[int, int]
"""A line and a column, both counted from 1; columns are Unicode characters."""


@dataclass(slots=True)
class Written:
    """A value in a file: where its key or it itself begins, and what it holds."""

    place: Place
    parts: "dict[str | int, Written]" = field(default_factory=dict)


def written_in(text: str, *, is_json: bool) -> Written | None:
    """The places in a file of JSON or YAML; `None` where it cannot be read, or PyYAML is missing."""
    try:
        return _of_json(text) if is_json else _of_yaml(text)
    except (ValueError, IndexError, RecursionError):
        return None


def place_of(path: str, written: Written) -> Place:
    """Where `path`, such as `states.new.events.Pay.commands[0]`, stands; where a part is not written, what would hold it.

    Keys may be written in either spelling, and contain dots.
    """
    rest = path
    while rest:
        found = _part(rest, written)
        if found is None:
            break
        written, rest = found
    return written.place


def _part(path: str, within: Written) -> tuple[Written, str] | None:
    """The part that `path` begins with, and the rest of the path; of several the one with the longest key."""
    index = _INDEX.match(path)
    if index:
        item = within.parts.get(int(index[1]))
        return None if item is None else (item, path[index.end() :].removeprefix("."))
    keys = [key for key in within.parts if isinstance(key, str)]
    matching = [(ours, key) for key in keys for ours in _spellings(key) if _begins_with(path, ours)]
    if not matching:
        return None
    ours, key = max(matching, key=lambda pair: len(pair[0]))
    return within.parts[key], path[len(ours) :].removeprefix(".")


def _begins_with(path: str, key: str) -> bool:
    return path.startswith(key) and path[len(key) :][:1] in ("", ".", "[")


def _spellings(key: str) -> Iterator[str]:
    """The key, and what we call it where it is duraflows' name for a field."""
    yield key
    ours = {"targetState": "target", "errorState": "error", "not": "not_"}.get(key)
    snake = ours or re.sub(r"(?<=[a-z])(?=[A-Z])", "_", key).lower()
    if snake != key and camel(snake) == key:
        yield snake


def _of_json(text: str) -> Written:
    tokens = list(_TOKEN.finditer(text))
    starts = [0, *(found.end() for found in re.finditer("\n", text))]
    places = _Places(starts)
    value, _ = _json_value(tokens, 0, places)
    return value


class _Places:
    """From an offset to a line and column; offsets only grow."""

    def __init__(self, starts: list[int]) -> None:
        self._starts = starts
        self._line = 0

    def at(self, offset: int) -> Place:
        while self._line + 1 < len(self._starts) and self._starts[self._line + 1] <= offset:
            self._line += 1
        return self._line + 1, offset - self._starts[self._line] + 1


def _json_value(tokens: list[re.Match[str]], at: int, places: _Places) -> tuple[Written, int]:
    """The value that begins with token `at`, and the token after it."""
    opening = tokens[at][0]
    value = Written(places.at(tokens[at].start()))
    at += 1
    if opening not in ("{", "["):
        return value, at
    count = 0
    while tokens[at][0] not in ("}", "]"):
        key: str | int = count
        place = places.at(tokens[at].start())
        if opening == "{":
            key = str(json.loads(tokens[at][0]))
            at += 2
        value.parts[key], at = _json_value(tokens, at, places)
        value.parts[key].place = place
        count += 1
        at += tokens[at][0] == ","
    return value, at + 1


def _of_yaml(text: str) -> Written | None:
    if yaml is None:
        return None
    try:
        root = compose_yaml(text)
    except yaml.YAMLError:
        return None
    return None if root is None else _yaml_value(root)


def _yaml_value(node: Any) -> Written:
    value = Written((node.start_mark.line + 1, node.start_mark.column + 1))
    if isinstance(node, yaml.MappingNode):
        for key, held in node.value:
            value.parts[str(key.value)] = _yaml_value(held)
            value.parts[str(key.value)].place = (key.start_mark.line + 1, key.start_mark.column + 1)
    elif isinstance(node, yaml.SequenceNode):
        value.parts |= {index: _yaml_value(item) for index, item in enumerate(node.value)}
    return value
