"""What each write makes of a run, decided run by run: how the memory store claims, extends, moves on and ends them."""

import random
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from detent.json_values import JsonObject
from detent.store.change import MoveRun
from detent.store.run_records import ENDED_RUNS, Checkpoint, FetchStrategy, Release, Run, RunClaim, RunStatus


def claimable_since(run: Run) -> datetime | None:
    """The instant from which `run` may be claimed, as far as it is up to the run; `None` where it is nobody's turn."""
    if run.status is RunStatus.PENDING:
        return run.available_at
    if run.status is RunStatus.RUNNING:
        return run.lease_until
    return None


def in_claim_order(runs: Iterable[Run], strategy: FetchStrategy) -> list[Run]:
    """Runs whose turn it is, in the order in which they are claimed: the highest priority first, and then as `strategy` says."""
    placed = [(claimable_since(run) or run.available_at, run.id, run) for run in runs]
    if strategy is FetchStrategy.RANDOM:
        random.shuffle(placed)
    else:
        placed.sort(reverse=strategy is FetchStrategy.NEWEST)
    return sorted((run for _, _, run in placed), key=lambda run: -run.priority)


def claimed(run: Run, claim: RunClaim, token: UUID, now: datetime) -> Run:
    """The run under a new lease: one attempt more, and one crash more where another lease had ended."""
    return replace(
        run,
        status=RunStatus.RUNNING,
        attempts=run.attempts + 1,
        crashes=run.crashes + (1 if run.status is RunStatus.RUNNING else 0),
        lease_token=token,
        lease_until=now + claim.lease,
        worker=claim.worker,
        updated_at=now,
    )


def extended(
    run: Run,
    extend: timedelta,
    now: datetime,
    *,
    kept: JsonObject | None = None,
    progress: JsonObject | None = None,
) -> Run:
    """The run under the same lease until `extend` from now, with what its command said about itself."""
    return replace(
        run,
        kept={**run.kept, **(kept or {})},
        progress=run.progress if progress is None else progress,
        lease_until=now + extend,
        updated_at=now,
    )


def checkpointed(run: Run, checkpoint: Checkpoint, now: datetime) -> Run:
    """The run one journal entry further, before its next command: in its first attempt, or pending again."""
    moved_on = replace(
        run,
        journal=(*run.journal, checkpoint.entry),
        command=checkpoint.command,
        queue=checkpoint.queue,
        priority=checkpoint.priority,
        crashes=0,
        kept={},
        progress=None,
        error=None,
        updated_at=now,
    )
    if checkpoint.release is None:
        return replace(moved_on, attempts=1, lease_until=now + checkpoint.extend)
    return _unleased(
        replace(moved_on, status=RunStatus.PENDING, attempts=0, available_at=now + checkpoint.release),
    )


def released(run: Run, release: Release, now: datetime) -> Run:
    """The run pending again, with the attempt that was under way counted or not."""
    return _unleased(
        replace(
            run,
            status=RunStatus.PENDING,
            attempts=max(0, run.attempts - 1) if release.uncount else run.attempts,
            error=run.error if release.error is None else release.error,
            available_at=now + release.delay,
            updated_at=now,
        )
    )


def moved(run: Run, move: MoveRun) -> Run:
    """The run under another status, held by nobody; the same run if it has ended."""
    if not run.is_active:
        return run
    there = replace(
        run,
        status=move.status,
        reason=move.reason,
        error=run.error if move.error is None else move.error,
        updated_at=move.at,
    )
    if move.status is RunStatus.PENDING:
        there = replace(there, attempts=0, crashes=0, available_at=move.at)
    if move.status in ENDED_RUNS:
        there = replace(there, finished_at=move.at)
    return _unleased(there)


def _unleased(run: Run) -> Run:
    return replace(run, lease_token=None, lease_until=None)
