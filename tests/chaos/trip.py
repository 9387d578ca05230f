"""The workflow that chaos is tried on: commands whose every effect outside is written to a ledger under its key."""

import os
import random
from datetime import timedelta

import asyncpg
from sqlalchemy import text

from detent import Delivery, Retry, Settings, WorkflowDefinition, WorkflowRuntime, command, subscriber
from detent.registry import CommandContext
from detent_pg import PgStore

COMMANDS = ("reserve", "charge", "pack", "label", "ship")
"""The durable ones."""

TABLES = """
CREATE TABLE ledger (key text PRIMARY KEY, instance_id uuid NOT NULL, command text NOT NULL, attempt int NOT NULL);
CREATE TABLE calls (key text NOT NULL, attempt int NOT NULL);
CREATE TABLE notes (instance_id uuid PRIMARY KEY);
CREATE TABLE news (place bigserial, id uuid PRIMARY KEY, instance_id uuid NOT NULL, sequence int NOT NULL);
"""

PATIENT = Retry(attempts=1000, initial=timedelta(milliseconds=50), maximum=timedelta(seconds=1), jitter=0.5)

LEASE = timedelta(seconds=3)

URL = "DETENT_CHAOS_URL"
"""The environment variable that says where commands keep their ledger."""
POLL = "DETENT_CHAOS_POLL"
"""The one that says how many seconds workers rest between two looks."""


def durable(name: str) -> object:
    @command(name, durable=True, retry=PATIENT)
    async def work(ctx: CommandContext) -> None:
        run = ctx.durable_run
        await written("INSERT INTO calls VALUES ($1, $2)", run.key, run.attempt)
        if random.random() < 0.05:
            raise ConnectionError("the other side is not there today")
        await written(
            "INSERT INTO ledger VALUES ($1, $2, $3, $4) ON CONFLICT (key) DO NOTHING",
            run.key,
            ctx.instance_id,
            name,
            run.attempt,
        )
        ctx.context[name] = run.key

    return work


@command("note", retry=PATIENT)
async def note(ctx: CommandContext) -> None:
    """Transactional: written in the commit of its checkpoint, so there is nothing to tell duplicates by."""
    await ctx.connection.execute(text("INSERT INTO notes VALUES (:id)"), {"id": ctx.instance_id})


@subscriber("trip.*", name="news", retry=PATIENT)
async def hear(delivery: Delivery) -> None:
    await written(
        "INSERT INTO news (id, instance_id, sequence) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING",
        delivery.id,
        delivery.instance_id,
        delivery.payload["sequence"],
    )


async def written(statement: str, *values: object) -> None:
    """Commit one statement on a connection of its own, as somebody else's system would."""
    connection = await asyncpg.connect(os.environ[URL], timeout=5, command_timeout=5)
    try:
        await connection.execute(statement, *values)
    finally:
        connection.terminate()


TRIP = WorkflowDefinition.from_dict(
    {
        "name": "trip",
        "publish": "trip",
        "initial_state": "new",
        "states": {
            "new": {"events": {"go": {"target": "packing", "commands": ["reserve", "charge", "note"]}}},
            "packing": {"on_enter": {"commands": ["pack", "label"], "target": "shipping"}},
            "shipping": {"on_enter": {"commands": ["ship"], "target": "done"}},
            "done": {},
        },
    }
)


def trip_store(url: str) -> PgStore:
    """A store over the database at `url`."""
    return PgStore.from_url(url, pool_size=8, max_overflow=4, connect_timeout=5)


def trip_runtime(url: str) -> WorkflowRuntime:
    """A runtime over the database at `url`."""
    return WorkflowRuntime(
        store=trip_store(url),
        definitions=[TRIP],
        commands=[*map(durable, COMMANDS), note],
        subscribers=[hear],
        settings=Settings(
            lease=LEASE, max_crashes=1000, run_retry=PATIENT, outbox_retry=PATIENT, drain=timedelta(seconds=5)
        ),
    )
