from datetime import timedelta
from typing import Any

import pytest

from detent.definition import CommandRef, Event
from detent.definition.selectors import PathSelector
from detent.retry import Retry


def _command(written: Any) -> CommandRef:
    return Event(commands=[written]).commands[0]


@pytest.mark.parametrize(
    "written", ["ship", {"name": "ship"}, CommandRef("ship"), {"name": "ship", "transactional": True}]
)
def test_a_command_is_a_name(written: Any) -> None:
    assert _command(written) == CommandRef("ship")


def test_a_command_says_what_it_gets_and_where_its_answer_goes() -> None:
    command = _command({"name": "ship", "input": {"path": "order.address"}, "output": "shipment.id"})
    assert command.input == PathSelector(path="order.address")
    assert command.output == "shipment.id"


@pytest.mark.parametrize(
    "written", [{"attempts": 3, "initial": "30s", "maximum": "PT1H"}, Retry(attempts=3, initial=timedelta(seconds=30))]
)
def test_a_retry_policy_is_an_object_or_the_value(written: Any) -> None:
    assert _command({"name": "ship", "retry": written}).retry == Retry(attempts=3, initial=timedelta(seconds=30))


def test_a_command_with_everything_is_written_and_read_back() -> None:
    command = CommandRef(
        "ship",
        metadata={"carrier": "post"},
        input={"static": None},
        output="shipment",
        retry=Retry(attempts=2, maximum=timedelta(minutes=5)),
        compensate=["unship", {"name": "tell", "metadata": {"whom": "customer"}}],
        durable=True,
    )
    for camel in (False, True):
        assert _command(command.model_dump(mode="json", exclude_defaults=True, by_alias=camel)) == command


def test_duraflows_transactional_is_not_written_again() -> None:
    command = _command({"name": "ship", "transactional": False})
    assert command.model_dump(mode="json", exclude_defaults=True, by_alias=True) == {"name": "ship"}
