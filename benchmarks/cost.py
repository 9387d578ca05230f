"""CPU and memory of the processes that take part, from /proc. Elsewhere than on Linux most of it is unknown."""

import os
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Spent:
    """What had been spent at one moment; two of them are subtracted."""

    at: float
    """`time.perf_counter()`, seconds."""
    python: float
    """CPU seconds of the Python processes."""
    postgres: float | None
    """CPU seconds of the PostgreSQL server and all its processes, those that have ended too."""
    resident: int | None
    """Memory of this process, bytes."""


class Meter:
    """Reads what has been spent. `postmaster` is the server's first process; without `workers` Python is this process alone."""

    def __init__(self, postmaster: int | None, *, workers: Sequence[int] = ()) -> None:
        self._postmaster = postmaster
        self._workers = workers

    def read(self) -> Spent:
        """What has been spent by now."""
        python = sum(_times(worker)[0] for worker in self._workers) if self._workers else time.process_time()
        return Spent(time.perf_counter(), python, self._of_postgres(), resident())

    def _of_postgres(self) -> float | None:
        if self._postmaster is None or not _PROC.is_dir():
            return None
        # What backends that have ended used up is in the postmaster's account of its children.
        total = sum(_times(self._postmaster))
        for place in _PROC.iterdir():
            if place.name.isdigit() and _parent(int(place.name)) == self._postmaster:
                total += _times(int(place.name))[0]
        return total


def resident() -> int | None:
    """Bytes of memory that this process has now; `None` where nobody tells."""
    try:
        pages = int((_PROC / "self/statm").read_text().split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGESIZE")


def peak_mb() -> float:
    """The most memory that this process has had, megabytes."""
    try:
        lines = (_PROC / "self/status").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        # Not what getrusage says, which begins with what the process that started this one had.
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1e6 if sys.platform == "darwin" else 1e6 / 1024)


def _times(pid: int) -> tuple[float, float]:
    """CPU seconds of a process, and of its children that have ended."""
    words = _stat(pid)
    if not words:
        return 0.0, 0.0
    own, children = int(words[11]) + int(words[12]), int(words[13]) + int(words[14])
    return own / _TICKS, children / _TICKS


def _parent(pid: int) -> int | None:
    words = _stat(pid)
    return int(words[1]) if words else None


def _stat(pid: int) -> list[str]:
    """What /proc says of a process from its state on; nothing when it has ended."""
    try:
        # The name in brackets before it may hold anything.
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
