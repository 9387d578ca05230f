"""The story of claims, in both applications: what belongs together is committed together, or not at all."""

import asyncio
from typing import Any

import httpx
from sqlalchemy import func, select, table, text
from sqlalchemy.ext.asyncio import AsyncEngine

from examples.claims.bank import Bank
from examples.claims.commands import ASSESSORS
from examples.claims.workflow import LIMIT


async def file(client: httpx.AsyncClient, *, policy: str = "P-1", amount: int = 900) -> httpx.Response:
    return await client.post("/claims", json={"policy": policy, "incident": "2026-11-02", "amount": amount})


async def filed(client: httpx.AsyncClient, **claim: Any) -> str:
    """The path of a new claim."""
    answer = await file(client, **claim)
    assert answer.status_code == 201, answer.text
    return f"/claims/{answer.json()['id']}"


async def approve(client: httpx.AsyncClient, path: str, reference: str) -> httpx.Response:
    return await client.post(f"{path}/approve", json={"reference": reference})


async def committed(database: AsyncEngine) -> dict[str, int]:
    """How many rows there are that everybody sees."""
    tables = ("claims", "payments", "detent_instances", "detent_history")
    async with database.connect() as connection:
        return {name: await connection.scalar(select(func.count()).select_from(table(name))) or 0 for name in tables}


async def test_a_claim_its_instance_and_what_a_command_adds_to_its_row_are_one_commit(serve, database):
    async with serve() as client:
        answer = await file(client)
        async with database.connect() as connection:
            row = (await connection.execute(text("SELECT id, assessor, instance_id FROM claims"))).one()
            state = await connection.scalar(text("SELECT state FROM detent_instances WHERE id = :id"), {"id": row[2]})
        assert answer.status_code == 201
        assert answer.json() == {
            "id": str(row.id),
            "policy": "P-1",
            "assessor": row.assessor,
            "state": "filed",
            "payment": None,
        }
        assert (row.assessor in ASSESSORS, state) == (True, "filed")


async def test_a_commit_that_fails_is_an_error_to_the_client_and_leaves_neither_row_nor_instance(serve, database):
    async with serve() as client:
        await filed(client)
        before = await committed(database)
        again = await file(client)
        assert (again.status_code, again.json()["detail"]) == (409, "there is one like this already")
        assert await committed(database) == before


async def test_an_approval_and_the_payment_that_its_command_books_are_one_commit(serve, database, ended):
    async with serve() as client:
        path = await filed(client)
        approved = await approve(client, path, "R-1")
        assert (approved.status_code, approved.json()["payment"]) == (200, "booked")
        async with asyncio.timeout(20):
            await ended.event.wait()
        assert (await committed(database))["payments"] == 1


async def test_a_commit_that_fails_in_a_step_leaves_neither_payment_nor_transition(serve, database, ended):
    async with serve() as client:
        first, second = await filed(client), await filed(client, policy="P-2")
        await approve(client, first, "R-1")
        async with asyncio.timeout(20):
            await ended.event.wait()
        before = await committed(database)
        same_reference = await approve(client, second, "R-1")
        after = await committed(database)
        assert same_reference.status_code == 409
        assert (after["payments"], (await client.get(second)).json()["state"]) == (before["payments"], "filed")


async def test_a_command_that_fails_takes_back_what_it_wrote_through_the_repository(serve, database):
    async with serve() as client:
        first, second = await filed(client, amount=LIMIT), await filed(client, policy="P-2", amount=LIMIT)
        await approve(client, first, "R-1")
        answer = await approve(client, second, "R-2")
        assert (answer.status_code, answer.json()["failure_code"]) == (422, "budget_spent")
        assert (await committed(database))["payments"] == 1
        assert (await client.get(second)).json()["state"] == "filed"


async def test_a_guard_says_why_not(serve, database):
    async with serve() as client:
        path = await filed(client, amount=LIMIT + 1)
        refused = await approve(client, path, "R-1")
        assert (refused.status_code, refused.json()["code"]) == (409, "event_refused")
        assert "second assessor" in refused.json()["reason"]
        assert (await committed(database))["payments"] == 0


async def test_the_worker_has_the_bank_pay_and_settles_the_payment(serve, bank: Bank, ended):
    async with serve() as client:
        path = await filed(client)
        await approve(client, path, "R-1")
        async with asyncio.timeout(20):
            await ended.event.wait()
        shown = (await client.get(path)).json()
        assert (shown["state"], shown["payment"], list(bank.sent.values())) == ("paid", "settled", [900])


async def test_a_claim_that_is_not_there_is_not_found(serve):
    async with serve() as client:
        assert (await client.get("/claims/0192f0c4-7f0a-7c3e-8f0a-7c3e8f0a7c3e")).status_code == 404
