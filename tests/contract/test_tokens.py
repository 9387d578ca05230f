"""Resume tokens: what operators do about them, and the door for who holds one."""

import logging
from typing import Any

import pytest

from detent.ids import new_id
from detent.service.http.operations import TOKEN_OPERATIONS
from tests.contract.doors import create, url_of
from tests.contract.full import full


async def test_the_routes_of_tokens_are_not_there_unasked(door):
    async with full(door, routes={"tokens": False}, tokens=None) as shop:
        answers = [await shop.client.request(one.method, url_of(one)) for one in TOKEN_OPERATIONS.values()]
        answers.append(await shop.client.post("/resume", json={"token": "x"}))
    assert {answer.status_code for answer in answers} == {404}


@pytest.mark.parametrize("options", [{"routes": {"tokens": True}}, {"tokens": {}}])
async def test_tokens_want_flows(door, options):
    with pytest.raises(Exception, match="FlowBook"):
        async with door.serve(**options):
            pass


async def test_who_holds_a_token_resumes_the_execution_once(door, caplog):
    async with full(door) as shop:
        path = await shop.waiting()
        made = await shop.client.post(f"{path}/tokens", json={"step": "ask", "metadata": {"to": "ana"}})
        token = made.json()["token"]
        with caplog.at_level(logging.DEBUG):
            resumed = await shop.client.post("/resume", json={"token": token, "data": "Ada"})
            again = await shop.client.post("/resume", json={"token": token, "data": "Bob"})
        [listed] = (await shop.client.get(f"{path}/tokens")).json()
        ended = await shop.flows.run(path[-36:])
    assert (made.status_code, resumed.status_code, resumed.json()["execution_id"]) == (201, 200, path[-36:])
    assert made.headers["cache-control"] == "no-store"
    assert (again.status_code, again.json()["code"], again.json()["reason"]) == (409, "token_refused", "used")
    assert (listed["state"], listed["step"], listed["metadata"]) == ("used", "ask", {"to": "ana"})
    assert (ended.status, ended.context["greeted"]) == ("completed", "Ada")
    assert token not in caplog.text
    assert token not in again.text


async def test_an_id_is_no_token(door):
    async with full(door) as shop:
        path = await shop.waiting()
        answers = [
            await shop.client.post("/resume", json={"token": text, "data": 1})
            for text in (path[-36:], path[-36:].replace("-", ""), "", "x" * 64, "A" * 64)
        ]
        still = await shop.flows.get(path[-36:])
    assert {(answer.status_code, answer.json()["reason"]) for answer in answers} == {(409, "unknown")}
    assert still.status == "waiting"


async def test_a_token_that_is_revoked_is_good_for_nothing(door):
    async with full(door) as shop:
        path, others = await shop.waiting(), await shop.waiting()
        token = (await shop.client.post(f"{path}/tokens", json={"step": "ask"})).json()["token"]
        [listed] = (await shop.client.get(f"{path}/tokens")).json()
        judged = [
            (await shop.client.post(f"{where}/tokens/validate", json={"token": token})).json()
            for where in (path, others)
        ]
        revoked = [
            (await shop.client.post(f"{path}/tokens/revoke", json={"hash": listed["hash"]})).json() for _ in range(2)
        ]
        refused = await shop.client.post("/resume", json={"token": token})
    assert judged == [{"valid": True, "reason": None}, {"valid": False, "reason": "unknown"}]
    assert revoked == [{"revoked": True}, {"revoked": False}]
    assert refused.json()["reason"] == "revoked"


async def test_what_is_no_execution_has_no_tokens(door):
    async with full(door) as shop:
        bodies = {"generate_token": {"step": "ask"}, "validate_token": {"token": "x"}, "revoke_token": {"hash": "x"}}
        for where, code in ((await create(shop.client), "unknown_flow"), (f"/{new_id()}", "instance_not_found")):
            for operation in TOKEN_OPERATIONS.values():
                said: dict[str, Any] = {"json": bodies[operation.name]} if operation.method == "POST" else {}
                url = url_of(operation, instance_id=where[-36:])
                answer = await shop.client.request(operation.method, url, **said)
                assert (answer.status_code, answer.json()["code"]) == (404, code), operation.name
