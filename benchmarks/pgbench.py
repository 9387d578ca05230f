"""The yardstick: `pgbench`, PostgreSQL's own benchmark, in its default form, which resembles TPC-B."""

import os
import re
import subprocess
from urllib.parse import urlsplit

from benchmarks.server import Server

CLIENTS = 16
THREADS = 2
SCALE = 16
"""Branches. With fewer than clients they would mostly wait for one another's rows, says pgbench's documentation."""


class Pgbench:
    """Runs it on a database of its own; `url` is that database."""

    def __init__(self, server: Server, url: str) -> None:
        self._program = str(server.programs / "pgbench")
        self._place = urlsplit(url)
        self._run("--initialize", "--quiet", f"--scale={SCALE}")

    def tps(self, seconds: float) -> float:
        """Transactions per second, measured for whole seconds, at least one."""
        whole = max(1, round(seconds))
        return tps_in(self._run(f"--client={CLIENTS}", f"--jobs={THREADS}", f"--time={whole}"))

    def _run(self, *arguments: str) -> str:
        place = self._place
        where = ("-h", str(place.hostname), "-p", str(place.port), "-U", str(place.username), place.path[1:])
        return subprocess.run(
            [self._program, *arguments, *where],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "PGPASSWORD": place.password or ""},
        ).stdout


def tps_in(output: str) -> float:
    """The last rate that pgbench printed: the one without the time that connecting took. Raises `ValueError`."""
    found = re.findall(r"^tps = ([\d.]+)", output, re.MULTILINE)
    if not found:
        raise ValueError(f"pgbench printed no tps:\n{output}")
    return float(found[-1])
