"""Versions of a definition: positive integers or semantic versions, kept as text and ordered as versions."""

import re
import reprlib
from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, WithJsonSchema

from detent.definition.shape import fault
from detent.errors import InvalidValue

_COUNT = r"(?:0|[1-9][0-9]*)"
_LABELS = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
VERSION_PATTERN = rf"^(?:[1-9][0-9]*|{_COUNT}\.{_COUNT}\.{_COUNT}(?:-{_LABELS})?(?:\+{_LABELS})?)$"
"""What a version looks like as text."""
MAX_LENGTH = 100
"""How many characters a version may have."""

VersionKey: TypeAlias = tuple[tuple[int, ...], int, tuple[tuple[int, int, str], ...], str]
"""What versions are compared by."""


def version_text(version: object) -> str:
    """The version as it is stored; raises `ValueError` for neither a positive integer nor a semantic one."""
    if isinstance(version, int) and not isinstance(version, bool) and version.bit_length() <= 64:
        version = str(version)
    if isinstance(version, str) and len(version) <= MAX_LENGTH and re.fullmatch(VERSION_PATTERN, version):
        return version
    hint = "write it in quotes: YAML reads 1.10 as the number 1.1" if isinstance(version, float) else None
    raise fault(
        "bad_version", f"must be a positive integer or a version like 1.10.0, not {reprlib.repr(version)}", hint=hint
    )


def version_key(version: str) -> VersionKey:
    """A value that sorts as versions do: `2` before `10`, `1.9.0` before `1.10.0`, `1.0.0-rc.1` before `1.0.0`.

    An integer sorts just before the semantic version it begins (`2` before `2.0.0`), so different versions never tie.
    """
    if not re.fullmatch(VERSION_PATTERN, version):
        raise InvalidValue("version", f"{reprlib.repr(version)} is neither a positive integer nor a semantic version")
    numbers, _, labels = version.partition("+")[0].partition("-")
    counts = tuple(int(number) for number in numbers.split("."))
    return counts, 0 if labels else 1, tuple(_label_key(label) for label in labels.split(".") if label), version


def _label_key(label: str) -> tuple[int, int, str]:
    return (0, int(label), "") if label.isdecimal() else (1, 0, label)


VersionText = Annotated[
    str,
    BeforeValidator(version_text),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": VERSION_PATTERN}]}),
]
"""A field that holds a version."""
