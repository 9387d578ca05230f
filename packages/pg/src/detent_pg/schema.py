"""The tables, as SQLAlchemy Core metadata that can be handed to Alembic.

Closed sets are TEXT with a CHECK, because enumerated types make the first query of every connection slow and are hard to
change. JSON is jsonb, except where the order of keys means something. The hot row (`instances`) keeps few indexes, none on
what every step changes, and free space in its pages, so that an update stays in its page.
"""

from dataclasses import dataclass
from functools import cache

from sqlalchemy import (
    DDL,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    Uuid,
    event,
    func,
)
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSON

from detent.store.records import Outcome, Status
from detent.store.value_store import MAX_REF_BYTES
from detent_pg import durable
from detent_pg.columns import exact, json, moment, one_of, owner, text
from detent_pg.names import Names

schema_version = 6
"""The number of the last migration: the schema that this code needs."""

LIVE = (Status.ACTIVE, Status.PAUSED)
"""How the instances stand that keep their version of a definition in use; they have an index of their own."""

KEY_BYTES = 256
"""The longest tenant or idempotency key."""
SCOPE_BYTES = 512
"""The longest scope of an idempotency key: a word and the name of a workflow, or an id."""

# The names PostgreSQL would give by itself, so that the migrations need not spell them.
_CONVENTION = {
    "pk": "%(table_name)s_pkey",
    "fk": "%(table_name)s_%(column_0_name)s_fkey",
    "ck": "%(table_name)s_%(constraint_name)s_check",
}


@dataclass(frozen=True, eq=False)
class Tables:
    """The tables under one prefix and schema."""

    names: Names
    metadata: MetaData
    instances: Table
    history: Table
    definitions: Table
    receipts: Table
    archive: Table
    runs: Table
    inbox: Table
    outbox: Table
    throttles: Table
    values: Table
    schema_version: Table


@cache
def tables(names: Names) -> Tables:
    """The tables called so; the same object for the same names, so that compiled statements are shared."""
    metadata = MetaData(schema=names.schema, naming_convention=_CONVENTION)
    return Tables(
        names=names,
        metadata=metadata,
        instances=_instances(metadata, names),
        history=_history(metadata, names.prefix),
        definitions=_definitions(metadata, names.prefix),
        receipts=_receipts(metadata, names.prefix),
        archive=_archive(metadata, names.prefix),
        runs=_with_free_space(durable.runs(metadata, names.prefix), names.quoted("runs")),
        inbox=durable.inbox(metadata, names.prefix),
        outbox=durable.outbox(metadata, names.prefix),
        throttles=durable.throttles(metadata, names.prefix),
        values=_values(metadata, names.prefix),
        schema_version=_schema_version(metadata, names),
    )


def metadata_for(*, prefix: str = "detent_", schema: str | None = None) -> MetaData:
    """The metadata of the tables under another prefix or schema, for Alembic's `target_metadata`."""
    return tables(Names(prefix, schema)).metadata


def _instances(metadata: MetaData, names: Names) -> Table:
    table = Table(
        f"{names.prefix}instances",
        metadata,
        Column("id", Uuid, primary_key=True, comment="Made by the application; time-ordered (UUID version 7)"),
        text("workflow", "Name of its definition"),
        text("definition_version", "Version of the definition it is pinned to"),
        text("state", "The one state it is in"),
        text("status", "Where it stands in its life"),
        Column("version", Integer, nullable=False, comment="Sequence of its last history entry; fences every write"),
        json("context", "Mutable JSON of the instance"),
        json("metadata", "Labels given at creation, never changed"),
        json("timers", "Deadlines of the current state: event, due, attempts, parked, reason"),
        moment("due_at", "The earliest timer that is not parked", nullable=True),
        moment("entered_at", "When the current state was entered"),
        moment("created_at", "When it was created"),
        moment("updated_at", "When it was last written"),
        moment("finished_at", "When it was completed, failed or was cancelled", nullable=True),
        moment("parked_at", "Since when one of its timers waits for an operator", nullable=True),
        _tenant("Whose it is; empty without tenants"),
        # Not a foreign key: it stays true when the parent is removed.
        Column("parent_id", Uuid, comment="The instance that it was created for"),
        # Not a foreign key either: the run refers to the instance already.
        Column("run_id", Uuid, comment="The run that is under way"),
        json("parent_link", "How its parent hears of its end: event, wait_for, group, since", nullable=True),
        one_of("status", Status),
        CheckConstraint("version >= 1", name="version"),
        CheckConstraint(f"octet_length(tenant) <= {KEY_BYTES}", name="tenant"),
        comment="One row per business object: the state it is in now",
    )
    _index_instances(table, f"{names.prefix}instances")
    return _with_free_space(table, names.quoted("instances"))


def _index_instances(table: Table, name: str) -> None:
    """One index for each way that instances are looked for; none is on what every step changes.

    A status in a predicate costs what an index on it would, but only when the status changes.
    """
    row, newest = table.c, (table.c.created_at, table.c.id)
    active, live = row.status == Status.ACTIVE, row.status.in_(LIVE)
    Index(f"{name}_due_at_idx", row.due_at, postgresql_where=row.due_at.is_not(None) & active)
    Index(f"{name}_created_at_idx", *newest)
    Index(f"{name}_workflow_idx", row.workflow, *newest)
    # Ends with what lists are sorted by, or the planner would rather walk the workflow's whole index backwards.
    Index(f"{name}_live_idx", row.workflow, row.definition_version, *newest, postgresql_where=live)
    Index(f"{name}_tenant_idx", row.tenant, *newest, postgresql_where=row.tenant != "")
    Index(f"{name}_parent_id_idx", row.parent_id, postgresql_where=row.parent_id.is_not(None))
    finished, parked = row.finished_at.is_not(None), row.parked_at.is_not(None)
    Index(f"{name}_finished_at_idx", row.workflow, row.finished_at, row.id, postgresql_where=finished)
    Index(f"{name}_parked_at_idx", row.parked_at, row.id, postgresql_where=parked)
    Index(
        f"{name}_metadata_idx",
        row.metadata,
        postgresql_using="gin",
        postgresql_ops={"metadata": "jsonb_path_ops"},
    )


def _history(metadata: MetaData, prefix: str) -> Table:
    return Table(
        f"{prefix}history",
        metadata,
        # Not a foreign key: entries are only written for an instance that the same statement updates or inserts, and go with
        # it in the statement that removes it. A trigger that looks again would cost a third of the write.
        Column("instance_id", Uuid, primary_key=True, nullable=False, comment="The instance it happened to"),
        Column("sequence", Integer, primary_key=True, autoincrement=False, comment="1 for the creation, then dense"),
        text("event", "Name of the event; names that start with $ are Detent's own"),
        text("from_state", "The state before; null for the creation", nullable=True),
        text("to_state", "The state after"),
        text("outcome", "How the attempt ended"),
        json("commands", "What the commands answered, in the order they ran"),
        text("reason", "Why a guard refused or a command failed", nullable=True),
        json("error", "Code and message of what was raised", nullable=True),
        json("payload", "What came with the event", nullable=True),
        json("trigger_metadata", "Who and why; the same on all entries of one commit"),
        Column("transition_id", Uuid, nullable=False, comment="The same on all entries of one commit"),
        text("definition_version", "Version of the definition that decided"),
        moment("created_at", "When it happened"),
        json("changes", "What changed in the context; null where that was not recorded", nullable=True),
        one_of("outcome", Outcome),
        CheckConstraint("sequence >= 1", name="sequence"),
        comment="One row per thing that happened to an instance; never changed once written",
    )


def _definitions(metadata: MetaData, prefix: str) -> Table:
    return Table(
        f"{prefix}definitions",
        metadata,
        Column("workflow", Text, primary_key=True, comment="Name of the workflow"),
        Column("version", Text, primary_key=True, comment="Version of the definition"),
        text("fingerprint", "Hash of its canonical form; guards against editing a version in place"),
        # Not jsonb: that sorts keys, and the order of states is the order in which they are drawn.
        Column("definition", JSON(none_as_null=True), nullable=False, comment="The definition, its keys in order"),
        moment("created_at", "When it was stored"),
        Column(
            "place",
            Integer,
            nullable=False,
            server_default=sql("0"),
            comment="Sorts the versions of a workflow in the order they were stored",
        ),
        comment="Snapshots of definitions, so that instances pinned to a version outlive the code",
    )


def _receipts(metadata: MetaData, prefix: str) -> Table:
    table = Table(
        f"{prefix}receipts",
        metadata,
        exact("tenant", "Whose key it is; empty without tenants"),
        exact("scope", "workflow:NAME for creations, the instance's id for its events"),
        exact("key", "The idempotency key"),
        owner(metadata, prefix, "The instance that answered"),
        text("fingerprint", "What the caller said identifies the request", nullable=True),
        json("answer", "The stored answer"),
        moment("created_at", "When it was answered"),
        moment("expires_at", "From when the key counts as new"),
        CheckConstraint(f"octet_length(tenant) <= {KEY_BYTES}", name="tenant"),
        CheckConstraint(f"scope <> '' AND octet_length(scope) <= {SCOPE_BYTES}", name="scope"),
        CheckConstraint(f"key <> '' AND octet_length(key) <= {KEY_BYTES}", name="key"),
        comment="What idempotency keys were answered",
    )
    Index(f"{prefix}receipts_instance_id_idx", table.c.instance_id)
    Index(f"{prefix}receipts_expires_at_idx", table.c.expires_at)
    return table


def _archive(metadata: MetaData, prefix: str) -> Table:
    return Table(
        f"{prefix}archive",
        metadata,
        Column("instance_id", Uuid, primary_key=True, comment="The instance that was removed"),
        text("workflow", "Name of its definition"),
        text("definition_version", "Version of the definition it was pinned to"),
        text("tenant", "Whose it was; empty without tenants"),
        text("state", "The state it was in"),
        text("status", "Where it stood in its life"),
        moment("created_at", "When it was created"),
        moment("finished_at", "When it was completed, failed or was cancelled", nullable=True),
        moment("removed_at", "When it was removed"),
        text("reason", "Why it was removed", nullable=True),
        json("trigger_metadata", "Who removed it"),
        json("document", "The whole instance and its history; null when it was deleted for good", nullable=True),
        one_of("status", Status),
        comment="What remains of instances that were removed",
    )


def _values(metadata: MetaData, prefix: str) -> Table:
    return Table(
        f"{prefix}values",
        metadata,
        # A foreign key, though it costs a look: values are put one by one outside of steps, so that nothing but this keeps one
        # from being put to an instance which is just being removed.
        owner(metadata, prefix, "The instance it belongs to, and goes with", primary_key=True),
        exact("ref", "What it is found under; made of what it says, or key:NAME where an application set it"),
        # Not jsonb: nobody looks inside, and it comes back as it was put, for half of what taking it apart costs.
        Column("data", JSON(none_as_null=True), nullable=False, comment="The value"),
        Column("size", Integer, nullable=False, comment="Bytes of its JSON"),
        moment("created_at", "When it was put"),
        CheckConstraint(f"ref <> '' AND octet_length(ref) <= {MAX_REF_BYTES}", name="ref"),
        comment="Values beside instances: too large for a context, or set by the application",
    )


def _tenant(comment: str) -> Column[str]:
    # With a default, so that processes of the version before may go on creating while it is being replaced.
    return Column("tenant", Text, nullable=False, server_default="", comment=comment)


def _schema_version(metadata: MetaData, names: Names) -> Table:
    table = Table(
        f"{names.prefix}schema_version",
        metadata,
        Column("version", Integer, primary_key=True, autoincrement=False, comment="Number of the migration"),
        Column(
            "applied_at",
            DateTime(timezone=True),
            nullable=False,
            server_default=func.now(),
            comment="When it was applied",
        ),
        comment="The migrations that were applied",
    )
    # `metadata.create_all()` makes the newest schema at once, and says so where `open()` looks.
    stamped = f"INSERT INTO {names.quoted('schema_version')} (version) VALUES ({schema_version})"  # noqa: S608 - checked by Names
    _after_create(table, stamped)
    return table


def _with_free_space(table: Table, quoted: str) -> Table:
    """Leave room in its pages. Not as an option of the table, which SQLAlchemy 2.0 does not know."""
    _after_create(table, f"ALTER TABLE {quoted} SET (fillfactor = 85)")
    return table


def _after_create(table: Table, statement: str) -> None:
    event.listen(table, "after_create", DDL(statement))  # type: ignore[no-untyped-call]


metadata = tables(Names()).metadata
"""The default tables, for Alembic: `target_metadata = [Base.metadata, detent_pg.metadata]`."""
