"""Every error that the routes answer comes back as itself, or as one that holds all that was told."""

import json

import pytest

from detent.client import AnswerRefused
from detent.client.problems import error_in
from detent.errors import (
    CommandFailed,
    Conflict,
    DetentError,
    EventNotAvailable,
    EventRefused,
    IdempotencyConflict,
    IncompatibleState,
    InstanceBusy,
    InstanceFinished,
    InstanceNotFinished,
    InstanceNotFound,
    InstancePaused,
    InvalidValue,
    NotFound,
    NothingToRetry,
    OutcomeUnknown,
    ReentrantTrigger,
    RunNotActive,
    RunNotFound,
    RunParked,
    StoreUnavailable,
    UnknownVersion,
    UnknownWorkflow,
    VersionConflict,
    WaitTimeout,
)
from detent.flows.errors import ContextTooLarge, FlowInvalid, NotWaiting, TokenRefused, UnknownFlow
from detent.ids import new_id
from detent.problems import Problem
from detent.service.http.errors import answer_to_error
from detent.service.http.meanings import MEANINGS, MEMBERS
from detent.triggers.errors import InputError, InputRefused, TriggerDisabled, TriggerInvalid, UnknownTrigger
from detent.triggers.signatures import Fault, SignatureRefused

ID, RUN = new_id(), new_id()
FAULT = Problem("a.b", "wrong_type", "is no number", "write 1")

KNOWN: list[DetentError] = [
    InvalidValue("payload", "is refused", problems=[FAULT]),
    UnknownWorkflow("ordr", ["order"]),
    UnknownVersion("order", "7"),
    InstanceNotFound(ID),
    EventNotAvailable(ID, "new", "pya", ["pay"]),
    EventRefused(ID, "new", "pay", "too early", 7),
    IncompatibleState(ID, "order", "2", "new"),
    InstancePaused(ID),
    InstanceFinished(ID, "cancelled"),
    VersionConflict(ID, 1, 2),
    NothingToRetry(ID),
    InstanceBusy(ID, RUN),
    InstanceBusy(ID),
    RunNotActive(RUN, "completed"),
    IdempotencyConflict("k"),
    CommandFailed("charge", "pay", "declined", "no money"),
    StoreUnavailable("refused"),
    OutcomeUnknown(ID, 3),
]
OTHERS: list[DetentError] = [
    FlowInvalid("f", [FAULT]),
    TriggerInvalid("t", [FAULT]),
    InputRefused("t", [InputError("a", "is missing", "required")]),
    SignatureRefused("github", next(iter(Fault))),
    ContextTooLarge("CONTEXT_SIZE_LIMIT", "too much"),
    NotFound("nothing"),
    RunNotFound(RUN),
    UnknownFlow("f", "1"),
    UnknownTrigger("t"),
    Conflict("not now"),
    InstanceNotFinished(ID, "active"),
    RunParked(ID, RUN, "stuck"),
    ReentrantTrigger(ID),
    NotWaiting(ID, "active"),
    TokenRefused("used"),
    TriggerDisabled("t", ID, "disabled"),
    WaitTimeout(ID, "new", 3),
]


def told(error: DetentError) -> tuple[int, dict[str, object]]:
    """What a client reads of an answer to `error`."""
    answer = answer_to_error(error)
    return answer.status, json.loads(answer.content)


def test_all_that_a_client_can_bring_about_is_listed_here():
    theirs = {kind for kind, meaning in MEANINGS.items() if meaning.status < 500}
    assert {type(error) for error in (*KNOWN, *OTHERS)} - {StoreUnavailable, OutcomeUnknown} == theirs


@pytest.mark.parametrize("error", KNOWN, ids=lambda error: error.code)
def test_an_error_of_the_routes_comes_back_as_itself_with_its_data(error):
    found = error_in(*told(error))
    assert type(found) is type(error)
    for name in MEANINGS[type(error)].data:
        assert getattr(found, name) == getattr(error, name)
    if MEANINGS[type(error)].detail is None:
        assert str(found) == str(error)


@pytest.mark.parametrize("error", OTHERS, ids=lambda error: error.code)
def test_any_other_is_a_refusal_that_holds_all_that_was_told(error):
    status, body = told(error)
    found = error_in(status, body)
    assert isinstance(found, AnswerRefused)
    assert (found.status, found.problem, found.data) == (status, error.code, body)
    assert {MEMBERS.get(name, name) for name in MEANINGS[type(error)].data} <= set(found.data)
    assert found.hint == error.hint


@pytest.mark.parametrize("body", [{}, {"code": "version_conflict"}, {"code": "instance_not_found", "instance_id": 7}])
def test_what_cannot_be_understood_is_a_refusal(body):
    found = error_in(409, body)
    assert isinstance(found, AnswerRefused)
    assert (found.status, found.data) == (409, body)
