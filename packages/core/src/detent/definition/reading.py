"""Text to data: JSON and YAML as strict as a definition deserves, so that no key is silently lost."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from detent.definition.yaml_nodes import compose_yaml, construct_yaml, yaml
from detent.errors import DefinitionInvalid
from detent.problems import Problem


def read_json(text: str | bytes) -> Any:
    """The value that JSON `text` says; raises `DefinitionInvalid` also where an object names a key twice."""
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant)
    except RecursionError:
        raise _unreadable("JSON", "it is nested too deeply") from None
    except ValueError as error:
        raise _unreadable("JSON", str(error)) from None


def read_yaml(text: str | bytes) -> Any:
    """The value that YAML `text` says; raises `DefinitionInvalid` also where a mapping names a key twice.

    What is nested in itself, deeper than 100 values, or by aliases stands for more than 5,000 values, is refused.
    """
    if yaml is None:
        hint = "install detent[yaml], or write the definition in JSON"
        raise DefinitionInvalid("?", [Problem("", "yaml_missing", "reading YAML needs PyYAML", hint)])
    try:
        root = compose_yaml(text)
        twice = [_given_twice(key) for key in _repeated_keys(root)]
        value = construct_yaml(root)
    except (yaml.YAMLError, ValueError) as error:
        raise _unreadable("YAML", str(error)) from None
    if twice:
        raise DefinitionInvalid("?", twice)
    return value


READERS: dict[str, Callable[[str | bytes], Any]] = {".json": read_json, ".yaml": read_yaml, ".yml": read_yaml}
"""How a file is read, by the end of its name."""


def read_file(path: str | Path) -> Any:
    """The value in a file, read by the end of its name; a file that is not there raises what `open` raises."""
    suffix = Path(path).suffix.lower()
    if suffix not in READERS:
        hint = "known: " + ", ".join(READERS) + "; Mermaid is read by from_mermaid"
        raise DefinitionInvalid("?", [Problem("", "unknown_format", f"{suffix or 'no suffix'!r} is no format", hint)])
    return READERS[suffix](Path(path).read_bytes())


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} is given twice in one object")
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _repeated_keys(root: Any) -> Iterator[Any]:
    """The key nodes that repeat an earlier one of their mapping; a node is looked at once, however many aliases it has."""
    waiting, seen = [root], set()
    while waiting:
        node = waiting.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            yield from _repeated(node)
            waiting += [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value


def _repeated(mapping: Any) -> Iterator[Any]:
    names = set()
    for key, _ in mapping.value:
        if isinstance(key, yaml.ScalarNode) and key.value in names:
            yield key
        names.add(key.value if isinstance(key, yaml.ScalarNode) else id(key))


def _given_twice(key: Any) -> Problem:
    place = f"line {key.start_mark.line + 1}, column {key.start_mark.column + 1}"
    return Problem(place, "key_given_twice", f"the key {key.value!r} is given twice", "keep one of them")


def _unreadable(format_name: str, reason: str) -> DefinitionInvalid:
    return DefinitionInvalid("?", [Problem("", "unreadable", f"this is not {format_name}: {reason}")])
