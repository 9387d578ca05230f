"""`make bench`: measures Detent, its yardstick and its peers on a PostgreSQL of its own; see docs/benchmarks.md."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from benchmarks import page
from benchmarks.catalogue import CASES
from benchmarks.compare import comparison
from benchmarks.environments import find_uv, peer_command, prepare
from benchmarks.machine import machine, versions
from benchmarks.peer_list import PACKAGES
from benchmarks.pgbench import CLIENTS, SCALE, THREADS, Pgbench
from benchmarks.plan import Entry, plan
from benchmarks.results import COMMITTED, Results
from benchmarks.running import How, Runner, own_command
from benchmarks.server import Server
from benchmarks.stock import fill
from benchmarks.tables import report


def main() -> None:
    given = _arguments()
    # Ended by the word of a supervisor, it stops its server like any other end does.
    signal.signal(signal.SIGTERM, _ended)
    entries = _entries(given)
    if given.list:
        print("\n".join(f"{entry.name:26} {entry.title}" for entry in entries))
        return
    if given.compare and not COMMITTED.exists():
        sys.exit(f"there is no {COMMITTED} to compare with")
    how = _how(given)
    results = measure(entries, how, given.folder)
    print(f"\n{report(results)}\n")
    if given.output:
        given.output.write_text(results.to_json(), "utf-8")
    if given.compare:
        print(comparison(Results.read(COMMITTED), results))
    elif _is_whole(given):
        _keep(results)
    if any(row.failed for row in results.rows if row.entry.peer is None):
        sys.exit("a case of ours failed")


def measure(entries: Sequence[Entry], how: How, folder: Path | None) -> Results:
    """Run the plan on a server in `folder`."""
    uv = find_uv()
    peers = sorted({entry.peer for entry in entries if entry.peer is not None})
    if peers:
        _say(f"installing {', '.join(peers)}")
    refused = prepare(peers, uv)
    with Server(folder) as server:
        of_machine, settings = machine(server.folder), server.settings()
        pgbench = Pgbench(server, server.create("pgbench"))
        runner = Runner(
            server,
            how,
            command=lambda entry: own_command(entry) if entry.peer is None else peer_command(entry, uv or "uv"),
            tps=pgbench.tps,
            fill=lambda url: asyncio.run(fill(url)),
            say=_say,
        )
        rows = runner.run(entries, refused)
    pinned = {package.partition("[")[0].partition("=")[0]: package.partition("==")[2] for package in _packages(peers)}
    return Results(
        made=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        how={
            "rounds": how.rounds,
            "seconds": how.seconds,
            "warmup": how.warmup,
            "pgbench": {"clients": CLIENTS, "threads": THREADS, "scale": SCALE},
        },
        machine=of_machine,
        postgres=settings,
        versions=versions(pinned),
        rows=rows,
    )


def _packages(peers: Sequence[str]) -> list[str]:
    """What the peers' environments hold, without what they share with ours."""
    return [PACKAGES[peer][0] for peer in peers if peer != "transitions"]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of 1 s, without peers and the big database")
    parser.add_argument(
        "--only", default="", help="names of cases or peers' work, or how they begin: create,timers,dbos"
    )
    parser.add_argument("--peers", action="store_true", help="with --quick or --only: the peers' equal work too")
    parser.add_argument("--rounds", type=int, help="how often everything is repeated; 3, with --quick 1")
    parser.add_argument("--seconds", type=float, help="how long each repetition counts; 3, with --quick 1")
    parser.add_argument("--folder", type=Path, help="where the server keeps its data; the temporary folder")
    parser.add_argument("--output", type=Path, help="a file for the results as JSON")
    parser.add_argument(
        "--compare", action="store_true", help="compare with the committed results and leave them alone"
    )
    parser.add_argument("--list", action="store_true", help="list what would run")
    return parser.parse_args()


def _entries(given: argparse.Namespace) -> list[Entry]:
    only = [word for word in given.only.split(",") if word]
    peers = given.peers or _is_whole(given) or (given.compare and not given.quick and not only)
    entries = plan(CASES, peers=peers, only=only)
    if not entries:
        sys.exit(f"nothing is called {given.only}; --list lists what there is")
    return [entry for entry in entries if not (entry.big and given.quick)]


def _how(given: argparse.Namespace) -> How:
    usual = How(rounds=1, seconds=1.0, warmup=0.3) if given.quick else How()
    return How(given.rounds or usual.rounds, given.seconds or usual.seconds, usual.warmup)


def _is_whole(given: argparse.Namespace) -> bool:
    """Whether everything runs as long as it should: only such results are kept."""
    return not (given.quick or given.only or given.compare or given.rounds or given.seconds)


def _keep(results: Results) -> None:
    """Write what is committed. Not with a failure of ours: the last good results are worth more."""
    if any(row.failed for row in results.rows if row.entry.peer is None):
        return
    COMMITTED.write_text(results.to_json(), "utf-8")
    page.write(report(results))
    _say(f"written: {COMMITTED} and {page.PAGE}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _ended(_number: int, _frame: FrameType | None) -> None:
    sys.exit("ended")


if __name__ == "__main__":
    main()
