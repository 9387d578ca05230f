"""`detent messages` and `detent deliveries`: what was given up, seen, tried again, or taken out."""

import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeAlias

import pytest
from click.testing import Result

from detent import WorkflowRuntime

Detent: TypeAlias = Callable[..., Result]
Claims: TypeAlias = dict[str, str]
Within: TypeAlias = Callable[[Callable[[WorkflowRuntime], Awaitable[Any]]], Any]

DATABASE = ("--database", "sqlite:///claims.db")
NOBODY = "01a1fff0-04b1-73ba-9d75-0b9b2e1aae52"


@pytest.fixture
def dead(claims: Claims, within: Within) -> Any:
    """The messages of anna and ben, which are dead, and of eve, which waits; by customer."""

    async def send(runtime: WorkflowRuntime) -> dict[str, str]:
        sent = {}
        for customer in ("anna", "ben", "eve"):
            expires = None if customer == "eve" else timedelta(microseconds=1)
            sent[customer] = str((await runtime.send(claims[customer], "pay", expires=expires)).id)
        await runtime.process_inbox()
        return sent

    return within(send)


def answered(result: Result) -> Any:
    return json.loads(result.stdout)


def test_messages_are_listed_with_why(detent: Detent, claims: Claims, dead: dict[str, str]):
    found = answered(detent("messages", "list", "--dead", *DATABASE, "--json"))
    assert [(each["id"], each["instance_id"]) for each in found["messages"]] == [
        (dead["anna"], claims["anna"]),
        (dead["ben"], claims["ben"]),
    ]
    told = detent("messages", "list", "--instance", claims["anna"]).stdout
    assert dead["anna"] in told
    assert " dead " in told
    assert "waiting" in detent("messages", "list", "--not-dead").stdout


def test_messages_are_listed_in_pages(detent: Detent, dead: dict[str, str]):
    page = answered(detent("messages", "list", "--limit", "2", "--json"))
    rest = answered(detent("messages", "list", "--limit", "2", "--after", str(page["after"]), "--json"))
    assert [each["id"] for each in [*page["messages"], *rest["messages"]]] == list(dead.values())
    assert rest["after"] is None


def test_dead_messages_are_revived(detent: Detent, dead: dict[str, str]):
    rehearsed = answered(detent("messages", "revive", "--all", "--dry-run", *DATABASE, "--json"))
    assert (rehearsed["changed"], rehearsed["dry_run"]) == ([dead["anna"], dead["ben"]], True)
    assert answered(detent("messages", "revive", dead["ben"], "--yes", *DATABASE, "--json"))["changed"] == [dead["ben"]]
    left = answered(detent("messages", "list", "--dead", "--json"))["messages"]
    assert [each["id"] for each in left] == [dead["anna"]]


def test_it_asks_before_it_takes_any_out(detent: Detent, dead: dict[str, str]):
    refused = detent("messages", "discard", "--event", "pay", stdin="n\n")
    assert (refused.exit_code, "discard 2 messages" in refused.stderr) == (1, True)
    assert len(answered(detent("messages", "list", "--json"))["messages"]) == 3
    assert detent("messages", "discard", "--all", stdin="y\n").exit_code == 0
    assert [each["id"] for each in answered(detent("messages", "list", "--json"))["messages"]] == [dead["eve"]]


def test_what_is_not_dead_or_not_there_is_told(detent: Detent, dead: dict[str, str]):
    result = detent("messages", "revive", dead["anna"], dead["eve"], NOBODY, "--yes", "--json")
    assert result.exit_code == 1
    assert answered(result)["changed"] == [dead["anna"]]
    assert answered(result)["unchanged"] == [dead["eve"], NOBODY]


@pytest.mark.parametrize(
    "arguments",
    [("messages", "revive"), ("messages", "discard", "--yes"), ("deliveries", "replay"), ("messages", "revive", "1")],
)
def test_which_are_meant_has_to_be_said(detent: Detent, claims: Claims, arguments: tuple[str, ...]):
    assert detent(*arguments).exit_code == 2


def test_ids_and_options_do_not_go_together(detent: Detent, dead: dict[str, str]):
    assert detent("messages", "discard", dead["anna"], "--all", "--yes").exit_code == 2


@pytest.fixture
def undelivered(in_office: Within) -> Any:
    """The id of a delivery that its subscriber has not taken so far."""

    async def publish(runtime: WorkflowRuntime) -> str:
        made = await runtime.create_instance("shop")
        await runtime.trigger_event(made, "sell")
        return str((await runtime.outbox.list(topic="news.sell"))[0].id)

    return in_office(publish)


def test_deliveries_are_listed_and_replayed(detent: Detent, undelivered: str, in_office: Within):
    in_office(lambda runtime: runtime.process_outbox())
    place = ("--database", "sqlite:///office.db")
    [_, found] = answered(detent("deliveries", "list", "--status", "dead", *place, "--json"))["deliveries"]
    assert (found["id"], found["subscriber"], found["topic"]) == (undelivered, "post", "news.sell")
    assert "the post is shut" in detent("deliveries", "list", *place).stdout
    replayed = answered(detent("deliveries", "replay", "--topic", "news.sell", "--yes", *place, "--json"))
    assert replayed["changed"] == [undelivered]
    [_, again] = answered(detent("deliveries", "list", "--json"))["deliveries"]
    assert (again["status"], again["attempts"]) == ("pending", 0)


def test_a_delivery_that_is_under_way_is_left_alone(detent: Detent, undelivered: str):
    result = detent("deliveries", "replay", undelivered, "--yes", "--json")
    assert (result.exit_code, answered(result)["unchanged"]) == (1, [undelivered])
