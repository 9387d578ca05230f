"""Checkpoints of runs, many in one commit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from detent.errors import StoreUnavailable
from detent.store.records import Status
from detent.store.run_records import Checkpoint
from detent_pg.batch import Waiting
from detent_pg.effects import step_parameters
from detent_pg.errands import Errands, rows_of
from detent_pg.faults import ConnectionLost, translated
from detent_pg.limits import Limits
from detent_pg.line import Line
from detent_pg.own_line import OwnLine
from detent_pg.rows import Row
from detent_pg.schema import Tables
from detent_pg.statements import runs
from detent_pg.strays import Strays


@dataclass(frozen=True, slots=True)
class Save:
    """A checkpoint that is to be saved."""

    checkpoint: Checkpoint
    now: datetime | None

    @property
    def run_id(self) -> UUID:
        return self.checkpoint.lease.run_id


Saving: TypeAlias = Waiting[Save, Status | None]


class Checkpoints:
    """The kind of work that saves checkpoints; see `Kind`. The answer is how the instance stands, `None` without the lease.

    One that is not saved together with others is saved again by itself, where it may wait for its run, and where it is found
    if it was saved before: a checkpoint is the same one however often it is sent.
    """

    def __init__(self, tables: Tables, limits: Limits, errands: Errands) -> None:
        self._tables = tables
        self._limits = limits
        self._errands = errands
        self._strays = Strays()

    async def commit(self, waiting: Sequence[Saving], line: OwnLine) -> None:
        """Save all of them; of several of one run the first, before the others are looked at."""
        left = [save for save in waiting if save.is_awaited]
        while left:
            together, left = _one_of_each_run(left)
            await self._save(together, line)

    async def finished(self) -> None:
        """Wait for those that go their own way."""
        await self._strays.finished()

    async def _save(self, saves: Sequence[Saving], line: OwnLine) -> None:
        try:
            standing = await self._save_once(saves, line)
        except StoreUnavailable:
            raise
        except Exception as error:
            if len(saves) > 1 and not isinstance(error, ConnectionLost):
                half = len(saves) // 2
                await self._save(saves[:half], line)
                await self._save(saves[half:], line)
                return
            standing = {}
        for save in saves:
            status = standing.get(save.work.run_id)
            if status is None:
                self._strays.send(save, self._alone(save.work))
            else:
                save.done(status, committed=True)

    async def _save_once(self, saves: Sequence[Saving], line: OwnLine) -> Mapping[UUID, Status]:
        statement = runs.checkpoint(self._tables, waits=False)
        parameters = _parameters([save.work for save in saves])
        try:
            ready = await line.ready()
            with translated():
                found = await ready.fetch(statement, parameters, timeout=self._limits.statement or None)
        except ConnectionLost:
            await line.let_go(lost=True)
            raise
        return {row["id"]: Status(row["status"]) for row in found}

    async def _alone(self, save: Save) -> Status | None:
        parameters = {**_parameters([save]), **self._limits.parameters()}
        return await self._errands.alone(lambda line: self._save_or_find(line, parameters))

    async def _save_or_find(self, line: Line, parameters: Row) -> Status | None:
        """Save a checkpoint; where nothing takes it, look whether an attempt that was cut off has saved it."""
        statement = runs.checkpoint(self._tables, waits=True)
        standing = _standing(await rows_of(line, statement, parameters))
        return standing or _standing(await rows_of(line, runs.was_taken(self._tables), parameters))


def _parameters(saves: Sequence[Save]) -> dict[str, object]:
    return {**step_parameters([save.checkpoint for save in saves]), "steps_now": [save.now for save in saves]}


def _standing(found: Sequence[Row]) -> Status | None:
    return next((Status(row["status"]) for row in found), None)


def _one_of_each_run(saves: Sequence[Saving]) -> tuple[list[Saving], list[Saving]]:
    """The first for each run, and those behind them: a statement writes a row only once."""
    first: dict[UUID, Saving] = {}
    behind = [save for save in saves if first.setdefault(save.work.run_id, save) is not save]
    return list(first.values()), behind
