"""The statements that take rows out on SQLite, and what is kept of an instance. They run in the thread of a connection."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from detent.store.change import Removal
from detent.store.records import ArchiveEntry
from detent.store.sqlite_records import from_archive_entry, to_archive_entry
from detent.store.sqlite_values import instant_text, maybe

_ARCHIVED = "SELECT * FROM detent_archive WHERE instance_id = ?"
_REMOVE_INSTANCE = "DELETE FROM detent_instances WHERE id = ? AND version = ?"
# What goes with an instance. Deliveries stay: what they tell of has happened.
_REMOVE_ITS_ROWS = (
    "DELETE FROM detent_history WHERE instance_id = ?",
    "DELETE FROM detent_receipts WHERE instance_id = ?",
    "DELETE FROM detent_runs WHERE instance_id = ?",
    "DELETE FROM detent_inbox WHERE instance_id = ?",
    "DELETE FROM detent_values WHERE instance_id = ?",
)
# An id that was used and removed again is archived as it was the last time.
_ARCHIVE = """
INSERT OR REPLACE INTO detent_archive (
    instance_id, workflow, definition_version, tenant, state, status, created_at, finished_at, removed_at, reason,
    trigger_metadata, document
) VALUES (
    :instance_id, :workflow, :definition_version, :tenant, :state, :status, :created_at, :finished_at, :removed_at, :reason,
    :trigger_metadata, :document
)
"""
# Up to the first entry that is not old: clocks go back at times, and what is left has no gap.
_PRUNE_HISTORY = """
DELETE FROM detent_history
WHERE instance_id = :instance_id AND sequence < (
    SELECT coalesce(min(CASE WHEN created_at >= :before THEN sequence END), max(sequence))
    FROM detent_history
    WHERE instance_id = :instance_id
)
"""
_PRUNE_RECEIPTS = """
DELETE FROM detent_receipts
WHERE rowid IN (SELECT rowid FROM detent_receipts WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)
"""


def remove_instances(connection: sqlite3.Connection, removals: Sequence[Removal]) -> list[UUID]:
    """Take out the instances that have the expected version; answers which ones those were."""
    return [removal.entry.instance_id for removal in removals if _remove(connection, removal)]


def read_archived(connection: sqlite3.Connection, instance_id: UUID) -> ArchiveEntry | None:
    """What is kept of an instance that was removed."""
    return maybe(to_archive_entry, connection.execute(_ARCHIVED, (str(instance_id),)))


def prune_history(connection: sqlite3.Connection, instance_ids: Sequence[UUID], before: datetime) -> int:
    """Take out the entries of these instances from before an instant, except each one's last; answers how many."""
    old = [{"instance_id": str(instance_id), "before": instant_text(before)} for instance_id in instance_ids]
    return max(0, connection.executemany(_PRUNE_HISTORY, old).rowcount)


def prune_receipts(connection: sqlite3.Connection, now: datetime, limit: int) -> int:
    """Take out up to `limit` receipts that have expired at `now`; answers how many."""
    return connection.execute(_PRUNE_RECEIPTS, (instant_text(now), limit)).rowcount


def _remove(connection: sqlite3.Connection, removal: Removal) -> bool:
    instance_id = str(removal.entry.instance_id)
    if connection.execute(_REMOVE_INSTANCE, (instance_id, removal.expected_version)).rowcount != 1:
        return False
    for statement in _REMOVE_ITS_ROWS:
        connection.execute(statement, (instance_id,))
    connection.execute(_ARCHIVE, from_archive_entry(removal.entry))
    return True
