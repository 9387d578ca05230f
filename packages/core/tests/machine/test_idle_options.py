"""Options for workers on commands that no worker runs: warned of, and only then."""

import logging

import pytest

from detent import MemoryStore, WorkflowDefinition, WorkflowRuntime, command
from detent.machine.idle_options import idle_options, idle_references
from detent.registry import Registry


def workflow(*commands, name="order", **event):
    event = {"target": "paid", "commands": list(commands), **event}
    return WorkflowDefinition.from_dict(
        {"name": name, "initial_state": "new", "states": {"new": {"events": {"pay": event}}, "paid": {}}}
    )


def marked(name="charge", **options):
    return command(name, **options)(lambda ctx: None)


def registered(*commands):
    registry = Registry()
    registry.add(commands)
    return registry


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"retry": "never"}, "retry of"),
        ({"timeout": "5s"}, "timeout of"),
        ({"queue": "mail", "priority": 3}, "queue and priority of"),
        ({"retry": "never", "timeout": "5s", "priority": 3}, "retry, timeout and priority of"),
    ],
)
def test_options_that_no_worker_will_heed_are_warned_of(options, named):
    [problem] = idle_options([workflow("charge")], registered(marked(**options)))
    assert (problem.path, problem.code, problem.severity) == ("commands.charge", "option_without_durable", "warning")
    assert named in problem.message
    assert "durable=True" in (problem.hint or "")


EVERYTHING = {"retry": "never", "timeout": "5s", "queue": "mail", "priority": 3}
DURABLE = {"name": "charge", "durable": True}


@pytest.mark.parametrize(
    ("definitions", "options"),
    [
        ([workflow("charge")], {**EVERYTHING, "durable": True}),
        ([workflow(DURABLE)], EVERYTHING),
        ([workflow("charge"), workflow(DURABLE, name="other")], EVERYTHING),
        ([workflow({"name": "book", "compensate": [DURABLE]}, error="paid")], EVERYTHING),
        ([workflow("book")], EVERYTHING),
        ([workflow("charge")], {"best_effort": True}),
        ([workflow("charge", {"name": "book", "durable": True})], {"retry": "never", "queue": "mail", "priority": 3}),
    ],
)
def test_options_that_a_worker_heeds_anywhere_are_not_warned_of(definitions, options):
    assert list(idle_options(definitions, registered(marked(**options), marked("book")))) == []


def test_a_timeout_holds_for_no_other_command_of_a_run():
    definition = workflow("charge", {"name": "book", "durable": True})
    [problem] = idle_options([definition], registered(marked(**EVERYTHING), marked("book")))
    assert "the timeout of command 'charge' is without effect" in problem.message


def test_the_retry_of_a_reference_is_warned_of_where_nothing_is_durable():
    definition = workflow({"name": "charge", "retry": {"attempts": 3}})
    [problem] = idle_references(definition, registered(marked()))
    assert (problem.path, problem.code) == ("states.new.events.pay.commands[0].retry", "option_without_durable")
    assert list(idle_references(definition, registered(marked(durable=True)))) == []


async def test_the_runtime_logs_each_warning_once_when_it_is_entered(caplog):
    caplog.set_level(logging.WARNING, logger="detent.runtime")
    definitions = [workflow({"name": "charge", "retry": "never"}), workflow("charge", name="other")]
    async with WorkflowRuntime(store=MemoryStore(), definitions=definitions, commands=[marked(timeout="5s")]):
        told = [record.getMessage() for record in caplog.records]
    assert [message.split(":")[0] for message in told] == ["workflow 'order' v1", "commands.charge"]
