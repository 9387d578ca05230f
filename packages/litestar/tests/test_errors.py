"""Every error has its status, its code and its data, and says nothing that is not for clients."""

import logging
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from litestar import Litestar, Request, Response, get
from litestar.exceptions import NotAuthorizedException
from litestar.params import FromPath

from detent import errors
from detent.errors import DetentError
from detent.ids import new_id
from detent.problems import Problem
from detent.service.http.meanings import MEANINGS, MEMBERS, Meaning, meaning_of
from detent.triggers import Fault, InputError, InputRefused, SignatureRefused, TriggerInvalid
from detent_litestar import WorkflowPlugin
from detent_pg.faults import RowHeld

ID = UUID("01a1fbe2-94b1-766a-8e79-342cd7a7190e")
PROBLEM = Problem("states.new", "unknown_state", "no such state")

EXPECTED = [
    (errors.DetentError("SELECT secret"), 500),
    (errors.DefinitionInvalid("order", [PROBLEM]), 500),
    (errors.DefinitionChanged("order", "1", "a" * 64, "b" * 64), 500),
    (errors.RegistrationInvalid("charge", "cannot be injected"), 500),
    (errors.NotStarted(), 503),
    (errors.NotFound("there is nothing"), 404),
    (errors.UnknownWorkflow("ordr", ["order"]), 404),
    (errors.UnknownVersion("order", "9"), 409),
    (errors.InstanceNotFound(ID), 404),
    (errors.RunNotFound(ID), 404),
    (errors.RunNotActive(ID, "completed"), 409),
    (errors.RunParked(ID, ID, "no money"), 409),
    (errors.WaitTimeout(ID, "new", 5.0, "it is paused"), 409),
    (errors.RunStuck(ID, "its worker died"), 500),
    (errors.LeaseLost(ID), 500),
    (errors.CommandTimedOut("charge", 30.0), 500),
    (errors.WorkflowUnavailable("order", ["version 1 has 2 live instances: no command 'secret' is registered"]), 503),
    (errors.InvalidValue("payload", "does not match", problems=[PROBLEM]), 400),
    (errors.Conflict("not now"), 409),
    (errors.EventNotAvailable(ID, "new", "paid", ["pay", "cancel"]), 409),
    (errors.EventRefused(ID, "new", "pay", "not yet", 3), 409),
    (errors.IncompatibleState(ID, "order", "2", "new"), 409),
    (errors.InstancePaused(ID), 409),
    (errors.InstanceFinished(ID, "completed"), 409),
    (errors.InstanceNotFinished(ID, "active"), 409),
    (errors.InstanceBusy(ID), 409),
    (errors.VersionConflict(ID, 2, 3), 409),
    (errors.NothingToRetry(ID), 409),
    (errors.ReentrantTrigger(ID), 409),
    (errors.IdempotencyConflict("k"), 409),
    (errors.CommandFailed("charge", "pay", "card_declined", "the bank said no"), 422),
    (errors.ChainTooLong(ID, "new", 10), 500),
    (errors.GotoNotAllowed("charge", "pay", "is not declared"), 500),
    (errors.AnswerInvalid("charge", object()), 500),
    (errors.StepCancelled(), 500),
    (errors.AlreadyStarted(), 500),
    (errors.StoreError("SELECT secret FROM detent_instances"), 500),
    (errors.StoreUnavailable("password authentication failed for user detent"), 503),
    (errors.StoreOutdated(1, 2), 503),
    (errors.OutcomeUnknown(ID, 7), 500),
    (errors.ConnectionNotSupported("PgStore", object(), "an AsyncSession"), 500),
    (errors.StepRolledBack("deadlock detected: DETAIL: Process 1"), 503),
]


def kinds(root: type[DetentError] = DetentError) -> Iterator[type[DetentError]]:
    """Detent's own errors; tests have some more."""
    yield root
    for kind in root.__subclasses__():
        if kind.__module__.partition(".")[0] in ("detent", "detent_pg"):
            yield from kinds(kind)


def test_every_error_of_detent_is_listed_above():
    assert {type(error) for error, _ in EXPECTED} == {kind for kind in kinds() if kind.__module__ == "detent.errors"}


ELSEWHERE = {
    "FlowInvalid": 400,
    "UnknownFlow": 404,
    "ContextTooLarge": 413,
    "NotWaiting": 409,
    "TokenRefused": 409,
    "TriggerInvalid": 400,
    "UnknownTrigger": 404,
    "TriggerDisabled": 409,
    "InputRefused": 400,
    "SignatureRefused": 401,
    "TriggerUnavailable": 503,
}
"""What callers of flows and triggers may be told."""


def test_what_callers_of_flows_and_triggers_are_told():
    found = {kind.__name__: _meaning_of(kind) for kind in kinds() if kind.__name__ in ELSEWHERE}
    assert {name: MEANINGS[row].status for name, row in found.items()} == ELSEWHERE


def test_other_errors_are_ours_or_the_stores():
    """They are no answers that a client could do anything about, so their ancestor's row is right for them."""
    others = [kind for kind in kinds() if kind.__module__ != "detent.errors" and kind.__name__ not in ELSEWHERE]
    assert RowHeld in others
    for kind in others:
        ours = (DetentError, errors.StepRolledBack, errors.StoreUnavailable)
        assert _meaning_of(kind) in ours, f"{kind.__name__} wants a row of its own"


def _meaning_of(kind):
    return next(known for known in kind.__mro__ if known in MEANINGS)


def test_only_faults_of_ours_are_a_500():
    internal = {type(error).__name__ for error, status in EXPECTED if status == 500}
    assert internal == {
        "DetentError",
        "DefinitionInvalid",
        "DefinitionChanged",
        "RegistrationInvalid",
        "AlreadyStarted",
        "ChainTooLong",
        "GotoNotAllowed",
        "AnswerInvalid",
        "StepCancelled",
        "RunStuck",
        "LeaseLost",
        "CommandTimedOut",
        "StoreError",
        "ConnectionNotSupported",
        "OutcomeUnknown",
    }


@pytest.mark.parametrize(("error", "status"), EXPECTED, ids=[type(error).__name__ for error, _ in EXPECTED])
def test_what_is_told_of_an_error_are_its_attributes_and_no_member_of_the_problem(error, status):
    told = meaning_of(error).data
    assert set(told) <= set(vars(error))
    assert not {MEMBERS.get(name, name) for name in told} & {"type", "title", "status", "detail", "code", "hint"}


def test_every_conflict_and_every_name_that_is_not_found_has_a_row_of_its_own():
    """A client tells them apart by their data."""
    inherited = {kind.__name__ for kind in kinds() if kind not in MEANINGS and meaning_of_kind(kind).status < 500}
    assert inherited == set()


def meaning_of_kind(kind: type[DetentError]) -> Meaning:
    return next(MEANINGS[known] for known in kind.__mro__ if known in MEANINGS)


@pytest.mark.parametrize(("error", "status"), EXPECTED, ids=[type(error).__name__ for error, _ in EXPECTED])
async def test_an_error_becomes_a_problem(serve, configured, caplog, error, status):
    @get("/fail")
    async def fail() -> None:
        raise error

    async with serve(configured(), route_handlers=[fail]) as client:
        with caplog.at_level(logging.CRITICAL):
            answer = await client.get("/fail")
    body = answer.json()
    assert answer.status_code == body["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert body["code"] == error.code
    assert body["type"] == f"urn:detent:problem:{error.code}"
    assert body["title"]
    assert body["detail"]


@pytest.mark.parametrize(
    "error", [error for error, status in EXPECTED if status >= 500], ids=lambda e: type(e).__name__
)
async def test_faults_of_the_server_are_logged_and_keep_their_words(serve, configured, caplog, error):
    @get("/fail")
    async def fail() -> None:
        raise error

    async with serve(configured(), route_handlers=[fail]) as client:
        answer = await client.get("/fail")
    assert error.message not in answer.text
    assert "hint" not in answer.json()
    assert error.code in caplog.text


async def test_data_of_an_error_stands_beside_its_words(serve, configured):
    async with serve(configured()) as client:
        path = (await client.post("/workflows/instances", json={"workflow": "order"})).headers["location"]
        answer = await client.post(f"{path}/events/aprove", json={})
    assert answer.status_code == 409
    body = answer.json()
    assert body["code"] == "event_not_available"
    assert body["hint"] == "did you mean 'approve'?"
    assert (body["state"], body["event"]) == ("new", "aprove")
    assert "pay" in body["available"]


async def test_the_status_of_an_instance_does_not_hide_that_of_the_answer(serve, configured):
    @get("/fail")
    async def fail() -> None:
        raise errors.InstanceFinished(ID, "completed")

    async with serve(configured(), route_handlers=[fail]) as client:
        body = (await client.get("/fail")).json()
    assert (body["status"], body["instance_status"]) == (409, "completed")


async def test_problems_are_told_one_by_one(serve, configured):
    @get("/fail")
    async def fail() -> None:
        raise errors.InvalidValue("payload", "does not match", problems=[PROBLEM])

    async with serve(configured(), route_handlers=[fail]) as client:
        body = (await client.get("/fail")).json()
    assert body["detail"] == "payload does not match"
    assert body["problems"] == [
        {"path": "states.new", "code": "unknown_state", "message": "no such state", "hint": None, "severity": "error"}
    ]


async def test_what_is_wrong_with_a_trigger_or_its_input_is_told_one_by_one(serve, configured):
    told = {
        "problems": TriggerInvalid("hook", [PROBLEM]),
        "errors": InputRefused("hook", [InputError("id", "'x' is not of type 'integer'", "type")]),
        "fault": SignatureRefused("github", Fault.WRONG),
    }

    @get("/fail/{member:str}")
    async def fail(member: FromPath[str]) -> None:
        raise told[member]

    async with serve(configured(), route_handlers=[fail]) as client:
        said = {member: (await client.get(f"/fail/{member}")).json()[member] for member in told}
    assert said["problems"][0]["path"] == "states.new"
    assert said["errors"] == [{"path": "id", "message": "'x' is not of type 'integer'", "keyword": "type"}]
    assert said["fault"] == "signature_wrong"


@pytest.mark.parametrize(
    ("error", "seconds"),
    [(errors.StoreUnavailable("gone"), "1"), (errors.InstanceBusy(ID), "1"), (errors.OutcomeUnknown(ID, 7), None)],
    ids=lambda value: getattr(value, "code", ""),
)
async def test_retry_after_is_said_only_where_repeating_is_safe(serve, configured, error, seconds):
    @get("/fail")
    async def fail() -> None:
        raise error

    async with serve(configured(), route_handlers=[fail]) as client:
        answer = await client.get("/fail")
    assert answer.headers.get("retry-after") == seconds


async def test_unknown_instances_and_workflows_are_404(serve, configured):
    missing = f"/workflows/instances/{new_id()}"
    async with serve(configured()) as client:
        answers = [
            await client.get(missing),
            await client.get(f"{missing}/events"),
            await client.get(f"{missing}/history"),
            await client.get(f"{missing}/diagram"),
            await client.post(f"{missing}/events/pay", json={}),
            await client.post("/workflows/instances", json={"workflow": "ordr"}),
            await client.get("/workflows/definitions/ordr/diagram"),
        ]
    assert [answer.status_code for answer in answers] == [404] * 7
    assert [answer.json()["code"] for answer in answers] == ["instance_not_found"] * 5 + ["unknown_workflow"] * 2
    assert answers[-1].json()["hint"] == "did you mean 'order'?"


async def test_a_failure_that_nothing_takes_is_422_and_rolled_back(serve, configured):
    async with serve(configured()) as client:
        path = (await client.post("/workflows/instances", json={"workflow": "order"})).headers["location"]
        answer = await client.post(f"{path}/events/charge", json={})
        after = await client.get(path)
    assert answer.status_code == 422
    assert (answer.json()["failure_code"], answer.json()["failure_message"]) == ("card_declined", "the bank said no")
    assert after.json()["state"] == "new"


async def test_what_a_command_raises_stays_on_the_server(serve, configured, caplog):
    async with serve(configured()) as client:
        path = (await client.post("/workflows/instances", json={"workflow": "order"})).headers["location"]
        answer = await client.post(f"{path}/events/crash", json={})
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "ZeroDivisionError" not in answer.text


async def test_the_applications_own_answer_to_errors_wins(serve, configured):
    def teapot(request: Request[Any, Any, Any], error: DetentError) -> Response[str]:
        return Response(error.code, status_code=418)

    async with serve(configured(), exception_handlers={DetentError: teapot}) as client:
        answer = await client.get(f"/workflows/instances/{new_id()}")
    assert (answer.status_code, answer.text) == (418, "instance_not_found")


async def test_outside_its_lifespan_the_runtime_is_503(serve, configured, caplog):
    plugin = WorkflowPlugin(configured())
    app = Litestar(logging_config=None, plugins=[plugin])
    async with serve(app) as client:
        pass
    async with type(client)(transport=client._transport, base_url="http://shop.test") as late:
        answer = await late.get("/workflows/definitions")
    assert answer.status_code == 503
    assert answer.json()["code"] == "not_started"


async def test_errors_of_guards_on_the_routes_are_problems_too(serve, configured, guarded):
    def nobody(connection, handler):
        raise NotAuthorizedException("who are you?", headers={"WWW-Authenticate": "Bearer"})

    async with serve(configured(controllers=guarded(nobody))) as client:
        answer = await client.get("/workflows/definitions")
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json() | {"detail": "who are you?", "code": "not_authenticated"} == answer.json()


def test_an_error_of_another_package_takes_the_meaning_of_its_ancestor():
    class Sold(errors.Conflict):
        code = "sold"

    assert meaning_of(Sold("somebody was faster")) is MEANINGS[errors.Conflict]
