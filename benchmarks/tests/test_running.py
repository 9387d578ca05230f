"""How a run goes: the order of things, what fails, and what is counted of a closed loop. No server takes part."""

import asyncio
import sys
from pathlib import Path

import pytest

from benchmarks.case import Case
from benchmarks.catalogue import CASES
from benchmarks.cost import Meter
from benchmarks.environments import command_in, find_uv, prepare
from benchmarks.given import Given
from benchmarks.load import closed_loop, in_turns
from benchmarks.peer_list import PACKAGES, WORKS, Work
from benchmarks.pgbench import tps_in
from benchmarks.plan import Entry, plan
from benchmarks.reading import Reading
from benchmarks.running import Failed, How, Runner, last_line, reading_of

QUICK = How(rounds=2, seconds=0.01, warmup=0.0)
PRINTS = "import sys; print('{\"rate\": ' + sys.argv[1] + '}')"


class FakeDatabases:
    """Remembers what was made and dropped."""

    postmaster = 1

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made: list[str] = []

    def create(self, database: str) -> str:
        self.made.append(f"+{database}")
        return f"postgresql://nowhere/{database}"

    def drop(self, database: str) -> None:
        self.made.append(f"-{database}")


def entry(name: str, **how: object) -> Entry:
    return Entry(name, name, "events", **{"postgres": True, **how})  # type: ignore[arg-type]


def runner(databases: FakeDatabases, tps: list[float], commands: dict[str, tuple[str, ...]]) -> Runner:
    left = iter(tps)
    return Runner(
        databases,
        QUICK,
        command=lambda asked: commands[asked.name],
        tps=lambda _: next(left),
        fill=lambda url: databases.made.append(f"filled {url}"),
        say=lambda _: None,
    )


def printing(rate: float) -> tuple[str, ...]:
    return (sys.executable, "-c", PRINTS, str(rate))


async def nothing(_: Given) -> Reading:
    return Reading()


def test_neighbours_share_the_run_of_pgbench_between_them(tmp_path: Path):
    databases = FakeDatabases(tmp_path)
    asked = runner(databases, [10, 20, 30, 40, 50], {"a": printing(1), "b": printing(2)})
    first, second = asked.run([entry("a"), entry("b")], {})
    assert (first.pgbench, second.pgbench) == ([15, 35], [25, 45])
    assert first.ratios["pgbench"].repetitions == (1 / 15, 1 / 35)
    assert databases.made == ["+measured", "-measured"] * 4


def test_what_needs_no_server_has_none_and_is_not_compared_with_pgbench(tmp_path: Path):
    databases = FakeDatabases(tmp_path)
    (row,) = runner(databases, [], {"memory": printing(5)}).run([entry("memory", postgres=False)], {})
    assert (len(row.readings), row.pgbench, databases.made) == (2, [], [])


def test_what_only_reads_is_not_compared_with_pgbench(tmp_path: Path):
    databases = FakeDatabases(tmp_path)
    (row,) = runner(databases, [], {"list": printing(5)}).run([entry("list", yardstick=False)], {})
    assert (len(row.readings), row.pgbench, len(databases.made)) == (2, [], 4)


def test_the_big_database_is_filled_once_and_only_when_it_is_needed(tmp_path: Path):
    databases = FakeDatabases(tmp_path)
    runner(databases, [1] * 9, {"list": printing(5)}).run([entry("list", big=True)], {})
    assert databases.made[:2] == ["+big", "filled postgresql://nowhere/big"]
    assert databases.made.count("+big") == 1


def test_a_failure_is_told_with_its_reason_and_breaks_nothing(tmp_path: Path):
    commands = {"bad": (sys.executable, "-c", "raise LookupError('no such thing')"), "good": printing(7)}
    bad, good = runner(FakeDatabases(tmp_path), [1] * 9, commands).run([entry("bad"), entry("good")], {})
    assert (bad.failed, bad.readings) == ("LookupError: no such thing", [])
    assert [reading.rate for reading in good.readings] == [7, 7]


def test_a_peer_that_was_refused_is_not_started(tmp_path: Path):
    (row,) = runner(FakeDatabases(tmp_path), [], {}).run([entry("x-events", peer="x")], {"x": "no wheel"})
    assert (row.failed, row.readings) == ("no wheel", [])


def test_a_process_that_does_not_answer_is_ended(tmp_path: Path):
    given = Given("", str(tmp_path), 0.0, 0.0)
    with pytest.raises(Failed, match="no answer in 0 s"):
        reading_of((sys.executable, "-c", "import threading; threading.Event().wait()"), given, 0.2)


def test_what_is_given_travels_in_the_environment(monkeypatch: pytest.MonkeyPatch):
    given = Given("postgresql://x", "/folder", 3.0, 1.0, 17, "postgresql://big")
    for name, value in given.environment().items():
        monkeypatch.setenv(name, value)
    assert Given.from_environment() == given


async def test_only_operations_after_the_warm_up_count():
    calls = 0

    async def operation() -> None:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0)

    load = await closed_loop([operation] * 3, meter=Meter(None), warmup=0.01, seconds=0.02)
    reading = load.reading(each=2)
    assert 0 < len(load.milliseconds) < calls
    assert reading.operations == 2 * len(load.milliseconds)
    assert reading.rate == pytest.approx(reading.operations / reading.seconds)
    assert reading.postgres_us is None
    assert reading.seconds >= 0.02


async def test_operations_that_never_wait_come_to_their_end():
    async def operation() -> None:
        """Never gives the loop a turn."""

    load = await closed_loop([operation], meter=Meter(None), warmup=0.0, seconds=0.01)
    assert load.reading().operations > 1


async def test_an_error_of_an_operation_ends_the_measurement():
    async def operation() -> None:
        raise LookupError("it is gone")

    with pytest.raises(ExceptionGroup):
        await closed_loop([operation], meter=Meter(None), warmup=0.0, seconds=10)


async def test_sides_take_turns_and_are_added_up_by_themselves():
    turns: list[str] = []

    def side(name: str) -> list[object]:
        async def operation() -> None:
            if turns[-1:] != [name]:
                turns.append(name)

        return [operation]

    sides = (side("a"), side("b"))
    loads = await in_turns(sides, meter=Meter(None), warmup=0.0, seconds=0.02, turns=2)  # type: ignore[arg-type]
    assert turns == ["a", "b", "a", "b"]
    assert all(load.seconds >= 0.02 for load in loads)


def test_the_rate_of_pgbench_is_read_from_what_it_prints():
    assert tps_in("latency average = 3.8 ms\ntps = 4183.5 (without initial connection time)\n") == 4183.5
    with pytest.raises(ValueError, match="no tps"):
        tps_in("pgbench: error")


def test_a_plan_has_each_peers_work_behind_the_case_it_is_compared_with():
    cases = [Case(name, name, "events", nothing) for name in ("event-64", "memory")]
    works = [Work("x-events", "x", "x", "events", "memory"), Work("y-events", "y", "y", "events", "event-64")]
    assert [one.name for one in plan(cases, works, peers=True)] == ["event-64", "y-events", "memory", "x-events"]
    assert [one.name for one in plan(cases, works, peers=False)] == ["event-64", "memory"]
    assert [one.name for one in plan(cases, works, peers=False, only=["event"])] == ["event-64"]
    assert [one.name for one in plan(cases, works, peers=True, only=["event"])] == ["event-64", "y-events"]
    assert [one.name for one in plan(cases, works, peers=False, only=["x"])] == ["x-events"]


def test_cases_and_works_have_names_of_their_own_and_peers_have_scripts():
    names = [case.name for case in CASES] + [work.name for work in WORKS]
    assert len(names) == len(set(names))
    assert {work.against for work in WORKS} <= {case.name for case in CASES}
    scripts = {path.stem for path in (Path(__file__).parents[1] / "peers").glob("*.py")}
    assert scripts == {work.peer for work in WORKS} == set(PACKAGES)


def test_every_package_of_a_peer_is_pinned():
    assert all("==" in package for packages in PACKAGES.values() for package in packages)
    assert "transitions==0.9.3" in command_in("transitions", "-c", "", uv="uv")


def test_without_uv_no_peer_can_run():
    assert prepare(["dbos"], None) == {"dbos": "uv was not found, which makes the peers' environments"}


def test_the_uv_that_runs_us_comes_first():
    assert find_uv({"UV": "/somewhere/uv"}) == "/somewhere/uv"


def test_the_last_line_of_a_traceback_is_the_error():
    assert last_line("Traceback\n  File\nKeyError: 'x'\n\n") == "KeyError: 'x'"
    assert last_line("\n") == ""
