"""The approval: by a token, by id, or by nobody."""

import pytest

from detent.flows import TokenRefused
from detent.testing import FlowHarness
from examples.flows.approval import HANDLERS, expense, main


@pytest.fixture
async def harness():
    async with FlowHarness(expense, HANDLERS) as harness:
        await harness.run(context={"amount": 120})
        yield harness


async def test_the_story_is_told_to_its_end(capsys, tmp_path):
    await main(tmp_path / "expenses.db")
    assert capsys.readouterr().out.splitlines() == [
        "waiting ask manager approval",
        "paid, approved by manager@co.com",
        "the token is used",
        "not paid: too much",
    ]


async def test_it_waits_for_seven_days_and_no_longer(harness):
    await harness.advance("6d")
    await harness.assert_waiting("manager approval", step="ask")
    await harness.advance("1d")
    await harness.assert_completed(outcome="not paid: nobody answered")


async def test_an_approval_by_token_is_paid(harness):
    token = await harness.token(expires_in="7d")
    await harness.resume({"approved": True, "by": "ana"}, token=token)
    await harness.assert_completed(outcome="paid, approved by ana")


async def test_a_token_of_yesterday_is_refused_and_the_flow_waits_on(harness):
    token = await harness.token(expires_in="1d")
    await harness.advance("1d")
    with pytest.raises(TokenRefused, match="expired"):
        await harness.resume({"approved": True}, token=token)
    await harness.assert_waiting(step="ask")
