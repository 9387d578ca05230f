"""The tables of durable execution: runs, inbox, outbox, and what was taken of throttled queues.

Their rows are written often and live shortly, so each has few indexes, partial where most rows are past. None is on a lease:
a heartbeat stays in its page.
"""

from sqlalchemy import Boolean, Column, Index, Integer, MetaData, Table, Uuid, literal_column

from detent.store.messages import DeliveryStatus
from detent.store.run_records import ACTIVE_RUNS, RunStatus
from detent_pg.columns import exact, json, moment, number, one_of, owner, text

ACTIVE = tuple(status for status in RunStatus if status in ACTIVE_RUNS)
"""How runs stand that have not ended, in the order of an index on them."""
CLAIMABLE = (RunStatus.PENDING, RunStatus.RUNNING)
"""How runs stand that a worker may take, or take over."""


def runs(metadata: MetaData, prefix: str) -> Table:
    """Durable transitions in progress."""
    name = f"{prefix}runs"
    table = Table(
        name,
        metadata,
        Column("id", Uuid, primary_key=True, comment="Also the transition id of what it ends with"),
        owner(metadata, prefix, "The instance it is a transition of"),
        text("workflow", "Name of the instance's definition"),
        text("definition_version", "Version of the definition it was accepted under"),
        text("tenant", "Whose it is; empty without tenants"),
        text("event", "The event that is taken"),
        text("state", "The state the instance is in until it ends"),
        text("target", "The state that is entered when no command fails; null stays", nullable=True),
        json("payload", "What came with the event", nullable=True),
        json("subject", "What the caller passed along", nullable=True),
        json("trigger_metadata", "Who and why"),
        Column("by_timer", Boolean, nullable=False, comment="Whether its deadline fired it"),
        text("status", "Where it stands"),
        text("command", "The next command; empty when only the end is left to commit"),
        text("queue", "Whose workers take the next command"),
        Column("priority", Integer, nullable=False, comment="Higher ones are claimed first"),
        Column("attempts", Integer, nullable=False, comment="Attempts of the next command, counted when they start"),
        Column("crashes", Integer, nullable=False, comment="Of these, those that ended with the lease"),
        json("journal", "What commands and guards answered, in the order they were asked"),
        json("kept", "What the command under way has kept"),
        json("progress", "What it said of its progress", nullable=True),
        moment("available_at", "When it may be claimed next"),
        Column("lease_token", Uuid, comment="What its worker has to name; replaced by every claim"),
        moment("lease_until", "From when any worker may take it over", nullable=True),
        text("worker", "Who holds it, or held it last", nullable=True),
        json("error", "Code and message of the last attempt that failed", nullable=True),
        text("reason", "Why it is parked or was cancelled", nullable=True),
        json("trace", "Trace context of whoever asked for it"),
        moment("created_at", "When it was accepted"),
        moment("updated_at", "When it was last written; heartbeats count"),
        moment("finished_at", "When it was completed or cancelled", nullable=True),
        one_of("status", RunStatus),
        comment="One row per durable transition: how far it came, and who holds it",
    )
    row = table.c
    active, claimable = row.status.in_(ACTIVE), row.status.in_(CLAIMABLE)
    # For the operator's view of an instance, and for the instance's end, which takes its runs along.
    Index(f"{name}_instance_id_idx", row.instance_id)
    # Says that an instance has one run under way, and is short where lists and counts are of what goes on.
    Index(f"{name}_active_idx", row.instance_id, unique=True, postgresql_where=active)
    # In the order they are claimed; the queue stands last, so that the ones of others are passed over within the index.
    Index(f"{name}_turn_idx", row.priority.desc(), row.available_at, row.id, row.queue, postgresql_where=claimable)
    # For what has grown old.
    Index(f"{name}_finished_at_idx", row.finished_at, postgresql_where=row.finished_at.is_not(None))
    return table


def inbox(metadata: MetaData, prefix: str) -> Table:
    """Events sent and not yet applied."""
    name = f"{prefix}inbox"
    table = Table(
        name,
        metadata,
        number("Its place in the order of arrival"),
        Column("id", Uuid, nullable=False, comment="Made by the application"),
        owner(metadata, prefix, "The instance it was sent to"),
        text("tenant", "Whose it is; empty without tenants"),
        text("event", "Name of the event; names that start with $ are Detent's own"),
        json("payload", "What came with the event", nullable=True),
        json("trigger_metadata", "Who and why"),
        text("key", "The idempotency key under which the event is taken", nullable=True),
        moment("created_at", "When it was sent"),
        moment("available_at", "Before this it is not tried"),
        moment("expires_at", "From when it is not taken any more", nullable=True),
        Column("attempts", Integer, nullable=False, comment="How often it was refused or failed"),
        Column("seen_version", Integer, nullable=False, comment="Version at which the state did not declare the event"),
        moment("dead_at", "Since when it waits for an operator", nullable=True),
        text("reason", "Why it was not taken so far", nullable=True),
        json("trace", "Trace context of whoever sent it"),
        comment="One row per event that was sent to an instance and is not applied yet",
    )
    row = table.c
    # Sending the same message again is known by its id.
    Index(f"{name}_id_idx", row.id, unique=True)
    # In the order in which an instance takes them, and for its end, which takes them along.
    Index(f"{name}_instance_id_idx", row.instance_id, row.number)
    # For operators, and for what has grown old.
    Index(f"{name}_dead_at_idx", row.dead_at, postgresql_where=row.dead_at.is_not(None))
    return table


def outbox(metadata: MetaData, prefix: str) -> Table:
    """Deliveries of published messages."""
    name = f"{prefix}outbox"
    table = Table(
        name,
        metadata,
        number("Its place in the order of writing; for one instance that of its commits"),
        Column("id", Uuid, nullable=False, comment="The same on every attempt"),
        Column("message_id", Uuid, nullable=False, comment="The same for every subscriber of one message"),
        text("subscriber", "Who gets it"),
        # Not a foreign key: deliveries outlive their instance.
        Column("instance_id", Uuid, nullable=False, comment="The instance that published it"),
        text("workflow", "Name of the instance's definition"),
        text("tenant", "Whose it is; empty without tenants"),
        Column("sequence", Integer, nullable=False, comment="The history entry it was published with"),
        text("topic", "What it is about"),
        text("key", "What its receiver may sort by", nullable=True),
        json("payload", "What it says", nullable=True),
        json("headers", "What it says about itself"),
        moment("created_at", "When it was published"),
        moment("available_at", "Before this it is not tried"),
        text("status", "Where it stands"),
        Column("attempts", Integer, nullable=False, comment="How many were started"),
        Column("lease_token", Uuid, comment="What whoever delivers it has to name; replaced by every claim"),
        moment("lease_until", "From when anybody else may deliver it", nullable=True),
        json("error", "Code and message of the last attempt that failed", nullable=True),
        moment("finished_at", "When it was delivered or given up", nullable=True),
        json("trace", "Trace context of the transition"),
        one_of("status", DeliveryStatus),
        comment="One row per message and subscriber",
    )
    row = table.c
    pending = row.status == literal_column(f"'{DeliveryStatus.PENDING}'")
    undelivered = row.status != literal_column(f"'{DeliveryStatus.DELIVERED}'")
    # Where a result belongs.
    Index(f"{name}_id_idx", row.id, unique=True)
    # What comes first for an instance and a subscriber.
    Index(f"{name}_head_idx", row.instance_id, row.subscriber, row.number, postgresql_where=pending)
    # In the order they are claimed, and the dead ones among them; most rows are delivered.
    Index(f"{name}_undelivered_idx", row.number, postgresql_where=undelivered)
    # For what has grown old.
    delivered = row.status == literal_column(f"'{DeliveryStatus.DELIVERED}'")
    Index(f"{name}_finished_at_idx", row.finished_at, postgresql_where=delivered)
    return table


def throttles(metadata: MetaData, prefix: str) -> Table:
    """What was taken of queues that are throttled."""
    return Table(
        f"{prefix}throttles",
        metadata,
        exact("queue", "The queue; its row is held while its runs are claimed"),
        json("taken", "When how many runs were claimed lately: pairs of instant and number"),
        comment="What was taken of throttled queues, over all processes",
    )
