"""The tables of the SQLite store, as numbered steps that `upgrade` takes when a store is opened.

Instants are text in UTC with all six digits of the microseconds: they sort as text, SQLite's own date functions read them, and
so do people with the `sqlite3` shell. Ids and JSON are text for the same reason.
"""

import sqlite3

from detent.errors import StoreOutdated
from detent.store.sqlite_schema_runs import RUNS_AND_MESSAGES

_VERSIONS = """
CREATE TABLE IF NOT EXISTS detent_schema_version (
    version INTEGER NOT NULL PRIMARY KEY,
    applied_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
)
"""

_TABLES = (
    """
    CREATE TABLE detent_instances (
        id TEXT NOT NULL PRIMARY KEY CHECK (id <> ''),
        workflow TEXT NOT NULL CHECK (workflow <> ''),
        state TEXT NOT NULL CHECK (state <> ''),
        status TEXT NOT NULL CHECK (status IN ('active', 'paused', 'completed', 'failed', 'cancelled')),
        version INTEGER NOT NULL CHECK (version > 0),
        definition_version TEXT NOT NULL CHECK (definition_version <> ''),
        context TEXT NOT NULL,
        metadata TEXT NOT NULL,
        timers TEXT NOT NULL,
        due_at TEXT CHECK (due_at <> ''),
        entered_at TEXT NOT NULL CHECK (entered_at <> ''),
        created_at TEXT NOT NULL CHECK (created_at <> ''),
        updated_at TEXT NOT NULL CHECK (updated_at <> '')
    )
    """,
    """
    CREATE INDEX detent_instances_due ON detent_instances (due_at, id)
        WHERE status = 'active' AND due_at IS NOT NULL
    """,
    """
    CREATE TABLE detent_history (
        instance_id TEXT NOT NULL CHECK (instance_id <> ''),
        sequence INTEGER NOT NULL CHECK (sequence > 0),
        event TEXT NOT NULL CHECK (event <> ''),
        from_state TEXT,
        to_state TEXT NOT NULL CHECK (to_state <> ''),
        outcome TEXT NOT NULL CHECK (outcome <> ''),
        commands TEXT NOT NULL,
        reason TEXT,
        error TEXT,
        payload TEXT NOT NULL,
        trigger_metadata TEXT NOT NULL,
        transition_id TEXT NOT NULL CHECK (transition_id <> ''),
        definition_version TEXT NOT NULL CHECK (definition_version <> ''),
        created_at TEXT NOT NULL CHECK (created_at <> ''),
        PRIMARY KEY (instance_id, sequence)
    )
    """,
    """
    CREATE TABLE detent_receipts (
        tenant TEXT NOT NULL,
        scope TEXT NOT NULL CHECK (scope <> ''),
        key TEXT NOT NULL CHECK (key <> ''),
        instance_id TEXT NOT NULL CHECK (instance_id <> ''),
        fingerprint TEXT,
        answer TEXT NOT NULL,
        created_at TEXT NOT NULL CHECK (created_at <> ''),
        expires_at TEXT NOT NULL CHECK (expires_at <> ''),
        PRIMARY KEY (tenant, scope, key)
    )
    """,
    """
    CREATE TABLE detent_definitions (
        workflow TEXT NOT NULL CHECK (workflow <> ''),
        version TEXT NOT NULL CHECK (version <> ''),
        fingerprint TEXT NOT NULL CHECK (fingerprint <> ''),
        definition TEXT NOT NULL,
        created_at TEXT NOT NULL CHECK (created_at <> ''),
        PRIMARY KEY (workflow, version)
    )
    """,
)

_FINDING_AND_ARCHIVE = (
    "ALTER TABLE detent_instances ADD COLUMN finished_at TEXT CHECK (finished_at <> '')",
    "ALTER TABLE detent_instances ADD COLUMN parked_at TEXT CHECK (parked_at <> '')",
    "ALTER TABLE detent_instances ADD COLUMN tenant TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE detent_instances ADD COLUMN parent_id TEXT CHECK (parent_id <> '')",
    # The last write to a finished instance is the one that finished it. When a timer was parked is not known any more;
    # the last write is the latest it can have been.
    "UPDATE detent_instances SET finished_at = updated_at WHERE status IN ('completed', 'failed', 'cancelled')",
    """
    UPDATE detent_instances SET parked_at = updated_at
    WHERE EXISTS (SELECT 1 FROM json_each(timers) WHERE json_extract(value, '$.parked'))
    """,
    # The order in which people look at instances: everybody's, a tenant's. Neither is touched when a step updates a row.
    "CREATE INDEX detent_instances_created ON detent_instances (created_at, id)",
    "CREATE INDEX detent_instances_tenant ON detent_instances (tenant, created_at, id)",
    # Which versions still have live instances, and how many: answered from the index alone. Also finds a workflow's.
    "CREATE INDEX detent_instances_versions ON detent_instances (workflow, definition_version, status)",
    # What is old enough to go, what waits for an operator, what belongs to a parent: each holds only those rows.
    """
    CREATE INDEX detent_instances_finished ON detent_instances (finished_at, id)
        WHERE finished_at IS NOT NULL
    """,
    """
    CREATE INDEX detent_instances_parked ON detent_instances (parked_at, id)
        WHERE parked_at IS NOT NULL
    """,
    """
    CREATE INDEX detent_instances_parent ON detent_instances (parent_id)
        WHERE parent_id IS NOT NULL
    """,
    # A removal takes an instance's receipts, a sweep those that have expired.
    "CREATE INDEX detent_receipts_instance ON detent_receipts (instance_id)",
    "CREATE INDEX detent_receipts_expiry ON detent_receipts (expires_at)",
    """
    CREATE TABLE detent_archive (
        instance_id TEXT NOT NULL PRIMARY KEY CHECK (instance_id <> ''),
        workflow TEXT NOT NULL CHECK (workflow <> ''),
        definition_version TEXT NOT NULL CHECK (definition_version <> ''),
        tenant TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state <> ''),
        status TEXT NOT NULL CHECK (status IN ('active', 'paused', 'completed', 'failed', 'cancelled')),
        created_at TEXT NOT NULL CHECK (created_at <> ''),
        finished_at TEXT CHECK (finished_at <> ''),
        removed_at TEXT NOT NULL CHECK (removed_at <> ''),
        reason TEXT,
        trigger_metadata TEXT NOT NULL,
        document TEXT
    )
    """,
)

_VALUES = (
    # What is large comes last, so that sizes are read without it.
    """
    CREATE TABLE detent_values (
        instance_id TEXT NOT NULL CHECK (instance_id <> ''),
        ref TEXT NOT NULL CHECK (ref <> ''),
        size INTEGER NOT NULL CHECK (size > 0),
        created_at TEXT NOT NULL CHECK (created_at <> ''),
        data TEXT NOT NULL,
        PRIMARY KEY (instance_id, ref)
    )
    """,
)

_CONTEXT_CHANGES = ("ALTER TABLE detent_history ADD COLUMN changes TEXT",)

STEPS: tuple[tuple[str, ...], ...] = (
    _TABLES,
    _FINDING_AND_ARCHIVE,
    RUNS_AND_MESSAGES,
    _VALUES,
    _CONTEXT_CHANGES,
)
"""What leads from each version to the next: step 1 makes version 1. A step that was released is never edited."""


def schema_version(connection: sqlite3.Connection) -> int:
    """The version the database is at; 0 when it has none of our tables."""
    [version] = connection.execute("SELECT coalesce(max(version), 0) FROM detent_schema_version").fetchone()
    return int(version)


def upgrade(connection: sqlite3.Connection) -> None:
    """Take the steps that the database has not taken, all in one transaction; raises `StoreOutdated` if it is newer."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(_VERSIONS)
        found = schema_version(connection)
        if found > len(STEPS):
            raise StoreOutdated(found, len(STEPS))
        for version, statements in enumerate(STEPS[found:], found + 1):
            for statement in statements:
                connection.execute(statement)
            connection.execute("INSERT INTO detent_schema_version (version) VALUES (?)", (version,))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
