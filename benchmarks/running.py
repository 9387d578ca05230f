"""Runs a plan, round by round: every repetition in a process of its own, pgbench before and after it."""

import os
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.given import Given
from benchmarks.plan import Entry
from benchmarks.reading import Reading
from benchmarks.results import Row, compare_all

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class How:
    """How often and how long."""

    rounds: int = 3
    seconds: float = 3.0
    """Of each repetition, counted."""
    warmup: float = 1.0
    """Seconds before that."""

    @property
    def patience(self) -> float:
        """Seconds after which a repetition is given up."""
        return 60 + 10 * (self.seconds + self.warmup)


class Failed(Exception):
    """A repetition that came to nothing; the text says why."""


class Databases(Protocol):
    """What a run needs of the server."""

    @property
    def postmaster(self) -> int: ...

    @property
    def folder(self) -> Path: ...

    def create(self, database: str) -> str: ...

    def drop(self, database: str) -> None: ...


class Runner:
    """Runs entries on a server.

    `command` says what to start for an entry, `tps` asks pgbench, `fill` makes the big database at a URL, and `say` tells
    of progress.
    """

    def __init__(
        self,
        databases: Databases,
        how: How,
        *,
        command: Callable[[Entry], Sequence[str]],
        tps: Callable[[float], float],
        fill: Callable[[str], None],
        say: Callable[[str], None],
    ) -> None:
        self._databases, self._how = databases, how
        self._command, self._tps, self._fill, self._say = command, tps, fill, say
        self._big: str | None = None
        self._latest: float | None = None

    def run(self, entries: Sequence[Entry], refused: Mapping[str, str]) -> list[Row]:
        """A row for each entry, with its ratios; `refused` are peers that cannot run, and why."""
        rows = [Row(entry, failed=refused.get(entry.peer or "")) for entry in entries]
        for number in range(1, self._how.rounds + 1):
            self._say(f"round {number} of {self._how.rounds}")
            for row in rows:
                if row.failed is None:
                    self._repeat(row)
        compare_all(rows)
        return rows

    def _repeat(self, row: Row) -> None:
        """One more reading for a row, or why there is none."""
        try:
            if row.entry.big and self._big is None:
                self._say("filling the big database")
                self._big = self._filled()
            before = self._yardstick(row.entry)
            reading = self._measure(row.entry)
            after = None if before is None else self._tps(self._how.seconds)
        except Failed as failure:
            row.failed = str(failure)
            self._say(f"  {row.entry.name}: failed: {row.failed}")
            self._latest = None
            return
        self._latest = after
        row.readings.append(reading)
        if before is not None and after is not None:
            row.pgbench.append(statistics.mean((before, after)))
        self._say(f"  {row.entry.name}: {_shown(reading, row)}")

    def _yardstick(self, entry: Entry) -> float | None:
        """What pgbench does right before: that is right after the entry before it, if that was measured."""
        if not (entry.postgres and entry.yardstick):
            return None
        return self._tps(self._how.seconds) if self._latest is None else self._latest

    def _measure(self, entry: Entry) -> Reading:
        url = self._databases.create("measured") if entry.postgres else ""
        try:
            with tempfile.TemporaryDirectory(dir=self._databases.folder) as folder:
                given = Given(
                    url=url,
                    folder=folder,
                    seconds=self._how.seconds,
                    warmup=self._how.warmup,
                    postmaster=self._databases.postmaster if entry.postgres else None,
                    big=(self._big or "") if entry.big else "",
                )
                return reading_of(self._command(entry), given, self._how.patience)
        finally:
            if url:
                self._databases.drop("measured")

    def _filled(self) -> str:
        url = self._databases.create("big")
        self._fill(url)
        self._latest = None
        return url


def reading_of(command: Sequence[str], given: Given, patience: float) -> Reading:
    """What the process prints that is started with `given` in its environment. Raises `Failed`."""
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **given.environment()},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, errors = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            raise Failed(f"no answer in {patience:.0f} s") from None
        finally:
            # Whatever it has started goes with it.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode:
        raise Failed(last_line(errors) or f"exit code {process.returncode}")
    try:
        return Reading.last_in(output)
    except ValueError as error:
        raise Failed(str(error)) from error


def last_line(text: str) -> str:
    """The last line with something on it, which of a traceback is the error; at most 200 characters."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else ""


def own_command(entry: Entry) -> tuple[str, ...]:
    """How a case of ours is measured."""
    return (sys.executable, "-m", "benchmarks.measuring", entry.name)


def _shown(reading: Reading, row: Row) -> str:
    if reading.rate is None:
        return f"{reading.p50:,.1f} ms"
    beside = f", {reading.rate / row.pgbench[-1]:.2f} x pgbench" if row.pgbench else ""
    return f"{reading.rate:,.0f} {row.entry.unit}/s{beside}"
