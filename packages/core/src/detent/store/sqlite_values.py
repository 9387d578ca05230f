"""Values as SQLite keeps them: instants, ids and JSON are text."""

import sqlite3
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeVar
from uuid import UUID

from pydantic_core import from_json, to_json

from detent.json_values import JsonValue

R = TypeVar("R")


def instant_text(value: datetime) -> str:
    """The instant in UTC with all six digits of its microseconds, so that texts sort as instants do."""
    return _utc_text(value if value.tzinfo is UTC else value.astimezone(UTC))


@lru_cache(1024)
def _utc_text(value: datetime) -> str:
    # One step writes one instant many times. Only for UTC: elsewhere two instants of one autumn night may be equal.
    return value.isoformat(timespec="microseconds")


def json_text(value: JsonValue) -> str:
    """The value as JSON."""
    return to_json(value).decode()


def list_text(wanted: Iterable[object] | None) -> str | None:
    """These ids or names as a JSON list of texts, for `json_each`; `None` for `None`."""
    return None if wanted is None else json_text([str(item) for item in wanted])


def maybe_instant_text(instant: datetime | None) -> str | None:
    """The instant as text; `None` for `None`."""
    return None if instant is None else instant_text(instant)


def maybe_id_text(value: UUID | None) -> str | None:
    """The id as text; `None` for `None`."""
    return None if value is None else str(value)


def maybe_json_text(value: JsonValue) -> str | None:
    """The value as JSON; `None` for `None`."""
    return None if value is None else json_text(value)


def to_maybe_instant(text: str | None) -> datetime | None:
    """The instant of a text; `None` for `None`."""
    return None if text is None else datetime.fromisoformat(text)


def to_maybe_id(text: str | None) -> UUID | None:
    """The id of a text; `None` for `None`."""
    return None if text is None else UUID(text)


def to_maybe_json(text: str | None) -> Any:
    """The value of a JSON text; `None` for `None`."""
    return None if text is None else from_json(text)


def maybe(convert: Callable[[sqlite3.Row], R], cursor: sqlite3.Cursor) -> R | None:
    """The first row of an answer, converted; `None` when there is none."""
    row = cursor.fetchone()
    return None if row is None else convert(row)


def ids_of(cursor: sqlite3.Cursor) -> list[UUID]:
    """The ids that an answer names in its first column, as a statement with RETURNING does."""
    return [UUID(row[0]) for row in cursor.fetchall()]
