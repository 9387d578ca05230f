"""`detent bench`: a database measured, and left as it was."""

import asyncio
import json
from collections.abc import Callable
from typing import TypeAlias

import pytest
from click.testing import Result

from detent import SqliteStore, WorkflowInstance
from detent.cli.operating.bench import TENANT, WORKFLOW
from detent.cli.operating.bench_report import measured

Detent: TypeAlias = Callable[..., Result]
Claims: TypeAlias = dict[str, str]

FEW = ("--instances", "12", "--concurrency", "4")


@pytest.fixture
def empty(detent: Detent) -> tuple[str, ...]:
    """A database that has its tables and nothing in them."""

    async def make() -> None:
        store = SqliteStore("empty.db")
        await store.open()
        await store.close()

    asyncio.run(make())
    return ("--database", "sqlite:///empty.db")


def test_it_measures_and_removes_what_it_made(detent: Detent, empty: tuple[str, ...]):
    result = detent("bench", *FEW, *empty, "--json")
    assert result.exit_code == 0, result.output
    view = json.loads(result.stdout)
    assert [(each["verb"], each["count"]) for each in view["measures"]] == [("create", 12), ("trigger", 12)]
    assert all(each["per_second"] > 0 and 0 < each["p50_ms"] <= each["p99_ms"] for each in view["measures"])
    assert view["removed"] == 12
    assert json.loads(detent("list", *empty, "--json").stdout)["instances"] == []


def test_people_see_throughput_and_latencies(detent: Detent, empty: tuple[str, ...]):
    lines = detent("bench", *FEW, *empty).stdout.splitlines()
    assert [line.split()[:2] for line in lines[1:3]] == [["create", "12"], ["trigger", "12"]]
    assert lines[3] == "SqliteStore, 4 at once; 12 instances made and removed"


@pytest.mark.parametrize("answer", ["n\n", ""])
def test_it_asks_where_there_are_instances_of_others(detent: Detent, claims: Claims, answer: str):
    result = detent("bench", *FEW, stdin=answer)
    assert (result.exit_code, "the database holds 3 instances" in result.stderr) == (1, True)
    assert WORKFLOW not in detent("definitions").stdout


def test_it_works_with_the_applications_store(
    detent: Detent, claims: Claims, stored: Callable[[str], WorkflowInstance]
):
    assert detent("bench", *FEW, "--yes").exit_code == 0
    assert {each["id"] for each in json.loads(detent("list", "--json").stdout)["instances"]} == {*claims.values()}
    assert stored(claims["anna"]).version == 1


def test_what_fails_meanwhile_leaves_nothing_either(detent: Detent, claims: Claims, monkeypatch: pytest.MonkeyPatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("detent.cli.operating.bench.measured", interrupted)
    assert detent("bench", *FEW, "--yes").exit_code == 1
    assert json.loads(detent("list", "--tenant", TENANT, "--json").stdout)["instances"] == []


def test_quantiles_are_of_calls_that_were_made():
    view = measured("create", 2.0, [each / 1000 for each in range(100, 0, -1)])
    assert (view.per_second, view.p50_ms, view.p99_ms) == (50.0, 50.0, 99.0)
    one = measured("create", 0.5, [0.25])
    assert (one.p50_ms, one.p99_ms) == (250.0, 250.0)
