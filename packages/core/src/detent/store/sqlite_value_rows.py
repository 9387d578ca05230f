"""The statements of values on SQLite. All of it runs in the thread of a connection."""

import sqlite3
from collections.abc import Collection, Mapping
from datetime import datetime
from uuid import UUID

from pydantic_core import from_json, to_json

from detent.errors import InstanceNotFound
from detent.json_values import JsonValue
from detent.store.sqlite_values import instant_text, list_text

_IS_THERE = "SELECT 1 FROM detent_instances WHERE id = ?"
_PUT = """
INSERT INTO detent_values (instance_id, ref, data, size, created_at)
VALUES (:instance_id, :ref, :data, :size, :created_at)
ON CONFLICT (instance_id, ref) DO NOTHING
"""
_OVERWRITE = """
INSERT INTO detent_values (instance_id, ref, data, size, created_at)
VALUES (:instance_id, :ref, :data, :size, :created_at)
ON CONFLICT (instance_id, ref) DO UPDATE SET data = excluded.data, size = excluded.size, created_at = excluded.created_at
"""
_LOAD = "SELECT ref, data FROM detent_values WHERE instance_id = ? AND ref IN (SELECT value FROM json_each(?))"
_SIZES = "SELECT ref, size FROM detent_values WHERE instance_id = ?"
_DELETE = "DELETE FROM detent_values WHERE instance_id = ? AND ref IN (SELECT value FROM json_each(?))"
_CLEAR = "DELETE FROM detent_values WHERE instance_id = ?"


def put_value(
    connection: sqlite3.Connection, instance_id: UUID, ref: str, value: JsonValue, now: datetime, *, overwrite: bool
) -> None:
    """Keep a value of an instance that is there; raises `InstanceNotFound`."""
    if connection.execute(_IS_THERE, (str(instance_id),)).fetchone() is None:
        raise InstanceNotFound(instance_id)
    data = to_json(value)
    row = {
        "instance_id": str(instance_id),
        "ref": ref,
        "data": data.decode(),
        "size": len(data),
        "created_at": instant_text(now),
    }
    connection.execute(_OVERWRITE if overwrite else _PUT, row)


def read_values(connection: sqlite3.Connection, instance_id: UUID, refs: Collection[str]) -> Mapping[str, JsonValue]:
    """The values under `refs` that are there."""
    found = connection.execute(_LOAD, (str(instance_id), list_text(refs)))
    return {ref: from_json(data) for ref, data in found}


def read_sizes(connection: sqlite3.Connection, instance_id: UUID) -> Mapping[str, int]:
    """How many bytes of JSON each value takes."""
    return {ref: int(size) for ref, size in connection.execute(_SIZES, (str(instance_id),))}


def delete_values(connection: sqlite3.Connection, instance_id: UUID, refs: Collection[str]) -> int:
    """Take out the values under `refs`; answers how many there were."""
    return connection.execute(_DELETE, (str(instance_id), list_text(refs))).rowcount


def clear_values(connection: sqlite3.Connection, instance_id: UUID) -> int:
    """Take out all values of an instance; answers how many there were."""
    return connection.execute(_CLEAR, (str(instance_id),)).rowcount
