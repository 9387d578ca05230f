"""The decision over one instance: a pure function of its record."""

import copy
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel

from detent import Registry, Status, Timer, WorkflowDefinition, WorkflowInstance, command
from detent.machine.compile import compile_definition
from detent.upgrade.outcome import DeadlineChange, Failed, FailureCode, SkipCode, Skipped, Upgraded, UpgradeOutcome
from detent.upgrade.plan import decide
from detent.upgrade.rules import Rules

ENTERED = datetime(2030, 1, 1, 12, tzinfo=UTC)
NOW = ENTERED + timedelta(minutes=10)

OLD: dict[str, Any] = {
    "name": "claim",
    "version": 2,
    "initial_state": "open",
    "states": {
        "open": {
            "events": {
                "close": {"target": "closed"},
                "expire": {"target": "closed", "timeout": "1h"},
                "remind": {"internal": True, "timeout": "5m", "commands": ["mail"]},
            }
        },
        "closed": {},
    },
}


@command("mail")
def mail() -> None: ...


def edited(**states: Any) -> dict[str, Any]:
    """Version 3, with these states put in, and `None` taken out."""
    new = copy.deepcopy(OLD) | {"version": 3}
    new["states"] = {name: state for name, state in (new["states"] | states).items() if state is not None}
    return new


def record(**fields: Any) -> WorkflowInstance:
    """An instance of version 2 that is in `open` since ten minutes, and was reminded five minutes ago."""
    known = WorkflowInstance(
        id=UUID(int=1),
        workflow="claim",
        state="open",
        status=Status.ACTIVE,
        version=3,
        definition_version="2",
        context={"amount": 5},
        metadata={"region": "eu"},
        timers=(Timer("expire", ENTERED + timedelta(hours=1)),),
        due_at=ENTERED + timedelta(hours=1),
        entered_at=ENTERED,
        created_at=ENTERED,
        updated_at=ENTERED,
    )
    return replace(known, **fields)


Deciding = Callable[..., UpgradeOutcome]


@pytest.fixture
def deciding() -> Deciding:
    """Decides over a record, for a target definition, by rules."""

    def decided(
        instance: WorkflowInstance, target: dict[str, Any], *, source: dict[str, Any] | None = OLD, **rules: Any
    ) -> UpgradeOutcome:
        registry = Registry()
        registry.add([mail])
        machine = compile_definition(WorkflowDefinition.from_dict(target), registry)
        read = None if source is None else WorkflowDefinition.from_dict(source)
        return decide(instance, read, Rules(machine, **rules), NOW)

    return decided


def timers(**due: str) -> dict[str, Any]:
    return {"events": {name: {"target": "closed", "timeout": after} for name, after in due.items()}}


def test_deadlines_are_counted_from_the_entry_and_attempts_are_forgotten(deciding: Deciding):
    tried = Timer("expire", NOW + timedelta(days=1), attempts=10, parked=True, reason="no")
    before = record(timers=(tried,), due_at=None, parked_at=NOW)
    moved = deciding(before, edited(open=timers(expire="15m")))
    assert isinstance(moved, Upgraded)
    assert moved.after.timers == (Timer("expire", NOW + timedelta(minutes=5)),)
    assert moved.after.due_at == NOW + timedelta(minutes=5)
    assert moved.after.parked_at is None
    assert moved.after.entered_at == ENTERED
    assert moved.deadlines == (DeadlineChange("expire", None, NOW + timedelta(minutes=5)),)


def test_what_waits_for_branches_is_not_moved_to_where_nobody_waits_for_them(deciding: Deciding):
    forking = {"on_enter": {"fork": ["side"], "target": "closed"}, "events": {"close": {"target": "closed"}}}
    side = {"events": {"done": {"target": "closed"}}}
    source = {**OLD, "states": {**OLD["states"], "open": forking, "side": side}}
    skipped = deciding(record(), edited(side=side), source=source)
    assert isinstance(skipped, Skipped)
    assert skipped.code is SkipCode.BRANCHES
    assert isinstance(deciding(record(), edited(open=forking, side=side), source=source), Upgraded)


def test_a_deadline_that_states_share_goes_on(deciding: Deciding):
    source, target = copy.deepcopy(OLD), edited()
    for each in (source, target):
        each["states"]["open"]["events"]["expire"]["timeout"] = {"after_hours": 1, "across": "all"}
    began = Timer("expire", NOW + timedelta(minutes=1))
    moved = deciding(record(timers=(began,)), target, source=source)
    assert isinstance(moved, Upgraded)
    assert began in moved.after.timers


def test_nothing_but_the_label_the_state_the_context_and_the_timers_changes(deciding: Deciding):
    before = record(status=Status.PAUSED)
    target = edited(open=None, waiting=OLD["states"]["open"]) | {"initial_state": "waiting"}
    moved = deciding(before, target, state_mapping={"open": "waiting"})
    assert isinstance(moved, Upgraded)
    assert moved.after == replace(before, state="waiting", definition_version="3")


def test_a_reminder_that_has_fired_does_not_fire_again_and_a_new_one_does(deciding: Deciding):
    target = edited()
    target["states"]["open"]["events"]["nudge"] = {"internal": True, "timeout": "8m", "commands": ["mail"]}
    moved = deciding(record(), target)
    assert isinstance(moved, Upgraded)
    assert {timer.event for timer in moved.after.timers} == {"expire", "nudge"}


def test_a_reminder_that_has_not_fired_is_armed(deciding: Deciding):
    waiting = Timer("remind", ENTERED + timedelta(minutes=5), attempts=2)
    moved = deciding(record(timers=(waiting,)), edited())
    assert isinstance(moved, Upgraded)
    assert Timer("remind", ENTERED + timedelta(minutes=5)) in moved.after.timers


def test_a_reminder_whose_deadline_was_null_is_armed_when_the_context_has_one_now(deciding: Deciding):
    source = copy.deepcopy(OLD)
    source["states"]["open"]["events"]["remind"]["timeout"] = {"at": "when"}
    later = (NOW + timedelta(hours=2)).isoformat()
    moved = deciding(
        record(context={"when": None}),
        {**source, "version": 3},
        source=source,
        transform_context=lambda context, _: {"when": later},
    )
    assert isinstance(moved, Upgraded)
    assert moved.deadlines[1] == DeadlineChange("remind", None, NOW + timedelta(hours=2))


def test_without_a_source_every_timeout_of_the_target_is_armed(deciding: Deciding):
    moved = deciding(record(), edited(), source=None)
    assert isinstance(moved, Upgraded)
    assert {timer.event for timer in moved.after.timers} == {"expire", "remind"}


@pytest.mark.parametrize(
    ("fields", "rules", "code"),
    [
        ({"workflow": "order"}, {}, SkipCode.OTHER_WORKFLOW),
        ({"definition_version": "3"}, {}, SkipCode.ALREADY_THERE),
        ({"definition_version": "3"}, {"from_version": "2"}, SkipCode.ALREADY_THERE),
        ({}, {"from_version": "1"}, SkipCode.OTHER_VERSION),
        ({"definition_version": "10"}, {}, SkipCode.NEWER_VERSION),
        ({"status": Status.CANCELLED}, {}, SkipCode.FINISHED),
        ({"status": Status.COMPLETED, "state": "closed"}, {}, SkipCode.FINISHED),
        ({}, {"metadata": {"region": "us"}}, SkipCode.OTHER_METADATA),
        ({}, {"states": ("closed",)}, SkipCode.STATE_EXCLUDED),
        ({}, {"exclude_states": ("open",)}, SkipCode.STATE_EXCLUDED),
        ({"state": "gone"}, {}, SkipCode.STATE_MISSING),
        ({}, {"state_mapping": {"open": "closed"}}, SkipCode.WOULD_FINISH),
    ],
)
def test_instances_that_are_passed_over(
    fields: dict[str, Any], rules: dict[str, Any], code: SkipCode, deciding: Deciding
) -> None:
    skipped = deciding(record(**fields), edited(), **rules)
    assert isinstance(skipped, Skipped), skipped
    assert skipped.code is code
    assert skipped.reason


def test_a_newer_version_is_left_when_it_is_named(deciding: Deciding):
    moved = deciding(record(definition_version="10"), edited(), from_version="10")
    assert isinstance(moved, Upgraded)


def test_a_state_that_ends_the_workflow_now_is_entered_by_an_event_and_not_by_an_upgrade(deciding: Deciding):
    skipped = deciding(record(), edited(open={}))
    assert isinstance(skipped, Skipped)
    assert skipped.code is SkipCode.WOULD_FINISH


ON_ENTER = OLD["states"]["open"] | {"on_enter": {"commands": ["mail"]}}


@pytest.mark.parametrize(
    ("source", "target", "passed_over"),
    [
        (OLD["states"]["open"], ON_ENTER, True),
        (ON_ENTER, ON_ENTER, False),
        (ON_ENTER, OLD["states"]["open"], False),
        (ON_ENTER, ON_ENTER | {"on_enter": {"commands": ["mail"], "error": "closed"}}, False),
        (ON_ENTER, ON_ENTER | {"on_enter": {"commands": ["mail"], "target": "closed"}}, True),
        (None, ON_ENTER, True),
        (None, OLD["states"]["open"], False),
    ],
)
def test_a_state_whose_on_enter_has_not_run_for_the_instance_is_passed_over(
    source: dict[str, Any] | None, target: dict[str, Any], passed_over: bool, deciding: Deciding
) -> None:
    before = None if source is None else {**OLD, "states": OLD["states"] | {"open": source}}
    decided = deciding(record(), edited(open=target), source=before)
    if passed_over:
        assert isinstance(decided, Skipped)
        assert decided.code is SkipCode.ON_ENTER
        assert "version 3" in decided.reason
    else:
        assert isinstance(decided, Upgraded)


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.FAILED])
def test_what_has_ended_stays_so_and_is_not_reopened(status: Status, deciding: Deciding) -> None:
    ended = record(status=status, state="closed", timers=(), due_at=None, finished_at=NOW)
    moved = deciding(ended, edited(), include_finished=True)
    assert isinstance(moved, Upgraded)
    assert moved.after == replace(ended, definition_version="3")
    reopened = deciding(ended, edited(closed=timers(again="1h")), include_finished=True)
    assert isinstance(reopened, Skipped)
    assert reopened.code is SkipCode.WOULD_REOPEN


def test_a_cancelled_instance_keeps_its_state_and_gets_no_timers(deciding: Deciding):
    ended = record(status=Status.CANCELLED, timers=(), due_at=None, finished_at=NOW)
    moved = deciding(ended, edited(), include_finished=True)
    assert isinstance(moved, Upgraded)
    assert moved.after == replace(ended, definition_version="3")


def test_the_transform_sees_copies_and_what_it_answers_is_the_context(deciding: Deciding):
    before = record(context={"amount": 5, "nested": {"a": 1}, "same": [1], "flag": 1})

    def transform(context: dict[str, Any], instance: WorkflowInstance) -> dict[str, Any]:
        assert instance == before
        instance.context["nested"]["a"] = instance.metadata["region"] = "spoilt"
        context["nested"]["a"] = 2
        del context["amount"]
        return {**context, "state": instance.state, "flag": True}

    moved = deciding(before, edited(), transform_context=transform)
    assert isinstance(moved, Upgraded)
    assert before == record(context={"amount": 5, "nested": {"a": 1}, "same": [1], "flag": 1})
    assert moved.after.context == {"nested": {"a": 2}, "same": [1], "flag": True, "state": "open"}
    assert moved.context_put == {"nested": {"a": 2}, "flag": True, "state": "open"}
    assert moved.context_removed == ("amount",)


async def _coroutine() -> dict[str, Any]:
    return {}


def _broken(context: dict[str, Any], instance: WorkflowInstance) -> dict[str, Any]:
    raise KeyError("amount")


@pytest.mark.parametrize(
    ("transform", "says"),
    [
        (_broken, "KeyError: 'amount'"),
        (lambda context, instance: None, "NoneType"),
        (lambda context, instance: [], "list"),
        (lambda context, instance: _coroutine(), "coroutine"),
        (lambda context, instance: {"when": NOW}, "context.when is a datetime"),
        (lambda context, instance: {"a": float("nan")}, "context.a"),
    ],
)
def test_a_transform_that_fails_or_answers_no_json_object_fails_its_instance(
    transform: Any, says: str, deciding: Deciding
) -> None:
    failed = deciding(record(), edited(), transform_context=transform)
    assert isinstance(failed, Failed)
    assert failed.code == FailureCode.TRANSFORM_FAILED
    assert says in failed.reason


class Claim(BaseModel):
    amount: int
    currency: str


def test_the_context_must_fit_the_model_of_the_target(deciding: Deciding):
    target = edited() | {"context_model": Claim}
    failed = deciding(record(), target)
    assert isinstance(failed, Failed)
    assert failed.code == FailureCode.CONTEXT_INVALID
    assert "currency" in failed.reason
    moved = deciding(record(), target, transform_context=lambda context, _: {**context, "currency": "EUR"})
    assert isinstance(moved, Upgraded)


def test_a_deadline_that_the_context_does_not_hold_fails_its_instance(deciding: Deciding):
    target = edited(open={"events": {"expire": {"target": "closed", "timeout": {"at": "until"}}}})
    failed = deciding(record(), target)
    assert isinstance(failed, Failed)
    assert failed.code == FailureCode.DEADLINE_INVALID
    assert "context.until" in failed.reason
