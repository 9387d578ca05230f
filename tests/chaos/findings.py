"""What is found in the tables after chaos, by plain SQL and none of our own code."""

from dataclasses import dataclass, fields

import asyncpg

_COUNTS = {
    "unfinished": "SELECT count(*) FROM detent_instances WHERE status <> 'completed' OR state <> 'done' OR run_id IS NOT NULL",
    "finished": "SELECT count(*) FROM detent_instances WHERE status = 'completed' AND state = 'done'",
    "effects": "SELECT count(*) FROM ledger",
    "effects_missing": """
        SELECT count(*) FROM detent_instances i CROSS JOIN unnest($1::text[]) AS c(command)
        WHERE NOT EXISTS (SELECT FROM ledger l WHERE l.instance_id = i.id AND l.command = c.command)
    """,
    "effects_doubled": """
        SELECT count(*) FROM (SELECT FROM ledger GROUP BY instance_id, command HAVING count(*) > 1) AS doubled
    """,
    "notes": "SELECT count(*) FROM notes",
    "calls": "SELECT count(*) FROM calls",
    "history_gaps": """
        SELECT count(*) FROM detent_instances i
        WHERE i.version <> (SELECT count(*) FROM detent_history h WHERE h.instance_id = i.id)
           OR i.version <> (SELECT max(sequence) FROM detent_history h WHERE h.instance_id = i.id)
    """,
    "states_without_history": """
        SELECT count(*) FROM detent_instances i WHERE i.state IS DISTINCT FROM (
            SELECT to_state FROM detent_history h WHERE h.instance_id = i.id ORDER BY sequence DESC LIMIT 1)
    """,
    "history_broken": """
        SELECT count(*) FROM detent_history a JOIN detent_history b
        ON a.instance_id = b.instance_id AND b.sequence = a.sequence + 1 WHERE b.from_state IS DISTINCT FROM a.to_state
    """,
    "transitions_missing": """
        SELECT count(*) FROM detent_instances i WHERE 3 <> (SELECT count(*) FROM detent_history h
            WHERE h.instance_id = i.id AND h.event <> '$created' AND h.outcome = 'success')
    """,
    "runs": "SELECT count(*) FROM detent_runs",
    "runs_not_completed": "SELECT count(*) FROM detent_runs WHERE status <> 'completed'",
    "runs_missing": """
        SELECT count(*) FROM detent_instances i WHERE 3 <> (SELECT count(*) FROM detent_runs r WHERE r.instance_id = i.id)
    """,
    "news": "SELECT count(*) FROM news",
    "news_missing": """
        SELECT count(*) FROM detent_history h WHERE h.outcome IN ('success', 'failure')
        AND NOT EXISTS (SELECT FROM news n WHERE n.instance_id = h.instance_id AND n.sequence = h.sequence)
    """,
    "news_out_of_order": """
        SELECT count(*) FROM (SELECT sequence, max(sequence) OVER (PARTITION BY instance_id ORDER BY place
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before FROM news) AS heard WHERE before > sequence
    """,
}


@dataclass(frozen=True)
class Findings:
    """The counts; those in `FAULTS` have to be zero."""

    unfinished: int
    finished: int
    effects: int
    effects_missing: int
    effects_doubled: int
    notes: int
    calls: int
    history_gaps: int
    states_without_history: int
    history_broken: int
    transitions_missing: int
    runs: int
    runs_not_completed: int
    runs_missing: int
    news: int
    news_missing: int
    news_out_of_order: int

    @property
    def faults(self) -> dict[str, int]:
        """What must not be there."""
        counts = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: count for name, count in counts.items() if name in FAULTS and count}


FAULTS = (
    "unfinished",
    "effects_missing",
    "effects_doubled",
    "history_gaps",
    "states_without_history",
    "history_broken",
    "transitions_missing",
    "runs_not_completed",
    "runs_missing",
    "news_missing",
    "news_out_of_order",
)


async def unfinished(url: str) -> int:
    """How many instances and deliveries are still on their way."""
    connection = await asyncpg.connect(url)
    try:
        left: int = await connection.fetchval(
            "SELECT (SELECT count(*) FROM detent_instances WHERE status = 'active')"
            " + (SELECT count(*) FROM detent_outbox WHERE status = 'pending')"
        )
        return left
    finally:
        await connection.close()


async def find(url: str, commands: tuple[str, ...]) -> Findings:
    """Count everything."""
    connection = await asyncpg.connect(url)
    try:
        counts = {}
        for name, statement in _COUNTS.items():
            given = [list(commands)] if "$1" in statement else []
            counts[name] = await connection.fetchval(statement, *given)
        return Findings(**counts)
    finally:
        await connection.close()
