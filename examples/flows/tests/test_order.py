"""The order, against a bank on a port of this machine."""

import logging
from collections.abc import Iterator

import pytest

from detent.testing import FlowHarness
from detent_handlers import log
from detent_handlers.address_rules import AddressRules
from detent_handlers.http import HttpHandler
from examples.flows.bank import Bank
from examples.flows.order import Mailbox, main, process_order, validate_order

PAID = """\
completed None {'status': 201, 'charge': 'ch_1'}
completed INVALID_ORDER None
completed HTTP_ERROR None
4 requests, [42] charged
order A1 is paid: ch_1
"""


@pytest.fixture
def bank() -> Iterator[Bank]:
    with Bank() as bank:
        yield bank


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
async def harness(mailbox):
    http = HttpHandler(rules=AddressRules(allow=["127.0.0.1"]))
    async with FlowHarness(process_order, [validate_order, http, mailbox, log]) as harness:
        yield harness


async def test_the_story_is_told_to_its_end(capsys):
    await main()
    assert capsys.readouterr().out == PAID


async def test_an_order_is_paid_and_confirmed(harness, bank, mailbox):
    await harness.run(context={"order": {"id": "A1", "prices": [40, 2]}, "bank": bank.url})
    await harness.assert_completed({"payment.charge": "ch_1", "validated.total": 42})
    assert list(mailbox.mails.values()) == ["order A1 is paid: ch_1"]


async def test_a_closed_bank_is_asked_again_under_the_same_key(harness, bank):
    bank.closed_for = 2
    await harness.run(context={"order": {"id": "A1", "prices": [42]}, "bank": bank.url})
    await harness.assert_waiting("tried again", step="charge-payment")
    await harness.advance("1s")
    await harness.assert_completed()
    calls = harness.calls_of("http")
    assert ([call.attempt for call in calls], len({call.key for call in calls})) == ([1, 2, 3], 1)
    assert (bank.requests, list(bank.charges.values())) == (3, [42])


async def test_an_invalid_order_asks_nobody_for_money(harness, bank, caplog):
    caplog.set_level(logging.INFO, "detent_handlers.log")
    await harness.run(context={"order": {"id": "A2", "prices": [-1]}, "bank": bank.url})
    await harness.assert_completed({"error.code": "INVALID_ORDER"})
    assert bank.requests == 0
    assert "order A2: INVALID_ORDER, a price is negative" in caplog.text


async def test_what_the_account_does_not_hold_is_asked_for_once(harness, bank, mailbox):
    await harness.run(context={"order": {"id": "A3", "prices": [5000]}, "bank": bank.url})
    await harness.assert_completed({"error.step_id": "charge-payment"})
    assert (bank.requests, mailbox.mails) == (1, {})


async def test_another_private_address_is_not_called(harness):
    await harness.run(context={"order": {"id": "A4", "prices": [1]}, "bank": "http://127.0.0.2:1"})
    await harness.assert_completed({"error.code": "ADDRESS_REFUSED"})
