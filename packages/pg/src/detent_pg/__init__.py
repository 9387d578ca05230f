"""Detent on PostgreSQL: the store, its schema and its migrations."""

from detent_pg.engine import SESSION_SETTINGS, make_engine
from detent_pg.health import PgHealth, PoolStats
from detent_pg.migrate import schema_sql
from detent_pg.schema import metadata, metadata_for, schema_version
from detent_pg.store import PgStore

__all__ = [
    "PgStore",
    "PgHealth",
    "PoolStats",
    "metadata",
    "metadata_for",
    "schema_sql",
    "schema_version",
    "make_engine",
    "SESSION_SETTINGS",
]
