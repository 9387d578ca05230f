"""Pieces of Python as text: literals that stay readable when they are large, docstrings that nothing in them ends."""

import textwrap
from collections.abc import Sequence

from detent.json_values import JsonValue

WIDTH = 110


def quoted(text: str) -> str:
    """The text as Python writes it, in double quotes where it can."""
    said = repr(text)
    return f'"{said[1:-1]}"' if said[0] == "'" and '"' not in text else said


def literal(value: JsonValue, indent: int) -> str:
    """A JSON value as Python, its first line behind something, the others `indent` spaces in."""
    flat = _flat(value)
    if len(flat) + indent <= WIDTH or not isinstance(value, dict | list) or not value:
        return flat
    inner = " " * (indent + 4)
    if isinstance(value, dict):
        lines = [f"{inner}{quoted(key)}: {literal(item, indent + 4)},\n" for key, item in value.items()]
        return "{\n" + "".join(lines) + " " * indent + "}"
    lines = [f"{inner}{literal(item, indent + 4)},\n" for item in value]
    return "[\n" + "".join(lines) + " " * indent + "]"


def _flat(value: JsonValue) -> str:
    match value:
        case str():
            return quoted(value)
        case dict():
            return "{" + ", ".join(f"{quoted(key)}: {_flat(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_flat, value)) + "]"
    return repr(value)


def wrapped(text: str, indent: int) -> str:
    """The text in lines that no formatter of the user's would find too long."""
    return textwrap.fill(text, 76 - indent, break_long_words=False, break_on_hyphens=False)


def docstring(text: str, indent: int) -> str:
    """The text as a docstring, whatever is in it."""
    safe = "".join(char if char.isprintable() or char == "\n" else " " for char in text)
    safe = safe.replace("\\", "\\\\").strip()
    if '"""' in safe or safe.endswith('"'):
        safe = safe.replace('"', '\\"')
    margin = " " * indent
    first, *others = (line.rstrip() for line in safe.split("\n"))
    if not others:
        return f'{margin}"""{first}"""\n'
    rest = "".join(f"{margin}{line}\n" if line else "\n" for line in others)
    return f'{margin}"""{first}\n{rest}{margin}"""\n'


def imported(module: str, names: Sequence[str]) -> str:
    """The statement that imports the names, sorted; nothing where there are none."""
    sorted_names = sorted(set(names))
    if not sorted_names:
        return ""
    flat = f"from {module} import {', '.join(sorted_names)}\n"
    if len(flat) <= WIDTH:
        return flat
    return f"from {module} import (\n" + "".join(f"    {name},\n" for name in sorted_names) + ")\n"
