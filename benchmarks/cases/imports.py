"""How long importing takes, each time in a new process."""

import statistics
import subprocess
import sys
from functools import partial

from benchmarks.case import Case
from benchmarks.given import Given
from benchmarks.reading import Reading

TIMES = 5
_TIMED = "import sys, time; t = time.perf_counter(); __import__(sys.argv[1]); print(time.perf_counter() - t)"


async def measure(given: Given, *, package: str) -> Reading:
    taken = [float(_once(package)) * 1000 for _ in range(TIMES)]
    return Reading(operations=TIMES, seconds=sum(taken) / 1000, p50=statistics.median(taken))


def _once(package: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", _TIMED, package], check=True, capture_output=True, text=True, env={}
    ).stdout


IMPORTS = tuple(
    Case(
        f"import-{package.replace('_', '-')}",
        f"import {package}",
        "imports",
        partial(measure, package=package),
        postgres=False,
    )
    for package in ("detent", "detent_pg", "detent_litestar")
)
