"""Steps that only decide, many in one commit: read together, decided in memory, written together.

Nothing is locked while they are decided. What somebody else wrote in between, or holds, is left out of the write and goes the
way of contended rows.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from detent.errors import InstanceBusy, InstanceNotFound
from detent.store.change import Change
from detent.store.records import Receipt, ReceiptKey, WorkflowInstance
from detent_pg.batch import Waiting, own_error
from detent_pg.contention import Contention
from detent_pg.decisions import Decision, Step, Verdicts, decide_all
from detent_pg.faults import ConnectionLost, RowHeld
from detent_pg.limits import Limits
from detent_pg.own_line import OwnLine, Unreachable
from detent_pg.pen import Found, Pen, Seen
from detent_pg.persistence import persist
from detent_pg.refusals import KeyAnswered
from detent_pg.statements.writing import Rows
from detent_pg.time import LearntClock
from detent_pg.verdict import Verdict

SHORT = 0.1
"""For how many seconds a commit of many waits at most for a row that one of them touches, before that one goes its own way."""
_TRIES = 3
"""How often a step is decided without holding its row."""


@dataclass(slots=True)
class _Group:
    """The steps on one instance, what they are decided over, and what they come to."""

    steps: list[Step]
    record: WorkflowInstance
    now: datetime
    trusted: bool = False
    """Whether the record is one that a caller had seen, and may have been replaced since."""
    receipts: dict[ReceiptKey, Receipt] = field(default_factory=dict)
    verdicts: Verdicts = field(default_factory=Verdicts)

    @property
    def changes(self) -> list[Change]:
        return self.verdicts.changes

    @property
    def raises_version(self) -> bool:
        """Whether the row of the instance is to be updated, and not only what is beside it."""
        return bool(self.changes) and self.changes[-1].instance.version > self.changes[0].expected_version

    def decide(self) -> None:
        self.verdicts = decide_all(self.record, self.steps, self.receipts, self.now)


class Steps:
    """The kind of work that reads a record, decides, and writes a change; see `Kind`."""

    def __init__(self, pen: Pen, clock: LearntClock, verdict: Verdict, contention: Contention, limits: Limits) -> None:
        self._pen = pen
        self._clock = clock
        self._verdict = verdict
        self._contention = contention
        self._limits = replace(limits, lock=min(limits.lock or SHORT, SHORT))

    async def commit(self, waiting: Sequence[Waiting[Decision, Any]], line: OwnLine) -> None:
        """Take the steps of all; those whose rows others hold are taken later, by whoever gets these rows."""
        free = self._contention.without_contended(waiting)
        await self._rounds(free, line, trusting=True)

    async def _rounds(self, steps: Sequence[Step], line: OwnLine, *, trusting: bool) -> None:
        """Take the steps in as many rounds as they need: at most one read and mostly one write in each."""
        while steps:
            groups = await self._groups(steps, line, trusting=trusting)
            for group in groups:
                group.decide()
            steps = await self._conclude(groups, line)
            trusting = False

    async def _groups(self, steps: Sequence[Step], line: OwnLine, *, trusting: bool) -> list[_Group]:
        groups: list[_Group] = []
        to_read: list[Step] = []
        # Only what is read tells the time.
        trusting = trusting and self._clock.is_fresh
        now = self._clock.now()
        for on_one in _by_instance(steps).values():
            known = _known(on_one) if trusting else None
            if known is None:
                to_read += on_one
            else:
                groups.append(_Group(on_one, known, now, trusted=True))
        return groups + await self._read(to_read, line) if to_read else groups

    async def _read(self, steps: Sequence[Step], line: OwnLine) -> list[_Group]:
        asked = [step.work for step in steps]

        async def look() -> list[Found]:
            try:
                return await self._pen.read_all(await line.ready(), asked, timeout=self._limits.statement or None)
            except ConnectionLost:
                await line.let_go(lost=True)
                raise

        groups: dict[UUID, _Group] = {}
        found = await persist(look)
        now = max((seen.clock for seen in found if isinstance(seen, Seen)), default=self._clock.now())
        for step, seen in zip(steps, found, strict=True):
            if not isinstance(seen, Seen):
                step.failed(seen or InstanceNotFound(step.work.instance_id))
                continue
            group = groups.setdefault(seen.record.id, _Group([], seen.record, now))
            group.steps.append(step)
            if seen.receipt is not None:
                group.receipts[seen.receipt.key] = seen.receipt
        return list(groups.values())

    async def _conclude(self, groups: Sequence[_Group], line: OwnLine) -> list[Step]:
        """Write what was decided, and answer; those that have to be decided again."""
        # Two statements, and so two commits: what becomes of one must not be taken for what became of the other.
        again = await self._write([group for group in groups if group.raises_version], line)
        again += await self._write([group for group in groups if group.changes and not group.raises_version], line)
        for group in groups:
            if not group.changes:
                again += _answered(group)
        return again

    async def _write(self, groups: Sequence[_Group], line: OwnLine) -> list[Step]:
        """Write the changes of all. Where one of them is the reason that nothing can be written, the others are without it."""
        if not groups:
            return []
        try:
            written = await persist(lambda: self._write_once(groups, line))
        except _CutOff:
            return [step for left in await asyncio.gather(*map(self._ask, groups)) for step in left]
        except Unreachable as unreachable:
            # Nobody's fault, and no better for fewer.
            raise unreachable.reason from unreachable
        except Exception as error:
            if len(groups) == 1:
                return await self._refused(groups[0], error, line)
            half = len(groups) // 2
            return [*await self._write(groups[:half], line), *await self._write(groups[half:], line)]
        return [step for group in groups for step in self._settled(group, applied=group.record.id in written)]

    async def _write_once(self, groups: Sequence[_Group], line: OwnLine) -> set[UUID]:
        changes = [change for group in groups for change in group.changes]
        now = {group.record.id: group.verdicts.moved_at for group in groups}
        connected = await line.reached()
        try:
            return await self._pen.write(connected, changes, Rows.PASSED_OVER, now=now, limits=self._limits)
        except ConnectionLost as lost:
            await line.let_go(lost=True)
            raise _CutOff from lost
        except KeyAnswered as error:
            raise _Outdated from error

    async def _ask(self, group: _Group) -> list[Step]:
        """Settle a group whose write was cut off."""
        try:
            return self._settled(group, applied=await self._verdict.of_write(group.changes, group.verdicts.moved_at))
        except Exception as error:
            for step in group.steps:
                step.failed(own_error(error))
            return []

    def _settled(self, group: _Group, *, applied: bool) -> list[Step]:
        """Answer a group that was written; one that was not is decided again, over what is there or while holding the row."""
        if applied:
            group.verdicts.tell()
            return group.verdicts.left
        if group.trusted:
            return group.steps
        self._contention.put(group.record.id, group.steps)
        return []

    async def _refused(self, group: _Group, error: Exception, line: OwnLine) -> list[Step]:
        """What becomes of a group that cannot be written, and is the reason itself."""
        if isinstance(error, InstanceBusy | RowHeld):
            # It may wait longer where nobody waits for it.
            self._contention.put(group.record.id, group.steps)
        elif isinstance(error, _Outdated):
            return self._tried_again(group)
        elif len(group.steps) > 1:
            for step in group.steps:
                await self._rounds([step], line, trusting=False)
        else:
            group.steps[0].failed(error)
        return []

    def _tried_again(self, group: _Group) -> list[Step]:
        for step in group.steps:
            step.attempts += 1
        if any(step.attempts >= _TRIES for step in group.steps):
            self._contention.put(group.record.id, group.steps)
            return []
        return group.steps


class _CutOff(Exception):
    """The connection broke while a write was under way: nobody knows whether it was applied."""


class _Outdated(Exception):
    """A step found its key answered, which it was not when it was decided."""


def _answered(group: _Group) -> list[Step]:
    """Answer a group that wants nothing written. What was decided over a record that may be outdated is decided again."""
    if group.trusted:
        return group.steps
    group.verdicts.tell()
    return group.verdicts.left


def _by_instance(steps: Sequence[Step]) -> Mapping[UUID, list[Step]]:
    groups: dict[UUID, list[Step]] = {}
    for step in steps:
        if step.is_awaited:
            groups.setdefault(step.work.instance_id, []).append(step)
    return groups


def _known(steps: Sequence[Step]) -> WorkflowInstance | None:
    """The newest record that one of those who ask has seen. A key has to be looked up in any case."""
    if any(step.work.key is not None for step in steps):
        return None
    known = (step.work.seen() for step in steps)
    return max((record for record in known if record is not None), key=lambda record: record.version, default=None)
