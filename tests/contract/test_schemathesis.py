"""Requests that schemathesis makes of the documents: no fault of the server, and no answer that the document does not tell of."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode, checks
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.contract.doors import DOORS, Door
from tests.contract.full import Full, full
from tests.contract.test_who_may_do_what import REST

CHECKS = [
    checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
OPERATIONS = [
    *(f"workflows_{name}" for name in REST),
    "webhooks_receive", "webhooks_describe", "tokens_resume_by_token", "health_is_live", "health_is_ready",
]  # fmt: skip


class Asked:
    """A running application, what its document says, and what is there to be asked for."""

    def __init__(self, shop: Full, document: dict[str, Any], there: dict[str, str]) -> None:
        schema = schemathesis.openapi.from_dict(document)
        found: list[Any] = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
        self.operations = {operation.definition.raw["operationId"]: operation for operation in found}
        self._shop, self._there = shop, there

    async def answer(self, case: schemathesis.Case[Any], there: bool) -> httpx.Response:
        """What a request is answered; about something that is `there`, or about what the case thought of."""
        if there and not case.path.startswith("/webhooks"):
            case.path_parameters |= {name: self._there[name] for name in case.path_parameters if name in self._there}
        elif there:
            case.path_parameters["trigger"] = "hook"
        wanted = case.as_transport_kwargs(base_url="http://shop.test")
        sent = {
            name: wanted[name]
            for name in ("method", "url", "headers", "params", "json")
            if wanted.get(name) is not None
        }
        return await self._shop.client.request(**sent, content=wanted.get("data"))


@asynccontextmanager
async def apart(context: AbstractAsyncContextManager[Full]) -> AsyncIterator[Full]:
    """What is entered and left in one task, also where a fixture is not."""
    entered, over = asyncio.get_running_loop().create_future(), asyncio.Event()

    async def run() -> None:
        async with context as found:
            entered.set_result(found)
            await over.wait()

    running = asyncio.create_task(run())
    try:
        await asyncio.wait({running, entered}, return_when=asyncio.FIRST_COMPLETED)
        yield entered.result()
    finally:
        over.set()
        await running


@pytest.fixture(scope="module", params=DOORS, ids=lambda door: door.name)
async def asked(request):
    door: Door = request.param
    async with apart(full(door)) as shop:
        document = (await shop.client.get(door.documents)).json()
        ended = await shop.workflows.create_instance("order")
        await shop.workflows.trigger_event(ended.id, "expire")
        there = {"instance_id": str(ended.id), "workflow": "order", "event": "try", "trigger": "nightly"}
        yield Asked(shop, document, there)


async def test_the_document_has_every_operation(asked):
    assert set(asked.operations) == set(OPERATIONS)


@pytest.mark.parametrize("name", OPERATIONS)
@settings(
    max_examples=10, derandomize=True, deadline=None, database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(data=st.data())
async def test_answers_are_what_the_document_says(asked, name, data):
    mode = data.draw(st.sampled_from([GenerationMode.POSITIVE, GenerationMode.NEGATIVE]))
    case = data.draw(asked.operations[name].as_strategy(generation_mode=mode))
    answer = await asked.answer(case, data.draw(st.booleans()))
    case.validate_response(answer, checks=CHECKS)
