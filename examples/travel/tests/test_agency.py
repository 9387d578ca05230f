"""The agency on SQLite: its own row, its mails, its hook, and runs that stand still."""

import asyncio
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from detent import RunParked, SqliteStore, WorkflowRuntime
from detent.testing import FakeClock
from detent_handlers import WebhookSink, new_secret
from examples.travel.agency import Agency
from examples.travel.bookings import noted
from examples.travel.partners import SoldOut, Unreachable


async def work(runtime: WorkflowRuntime) -> None:
    """Do what a worker would do now, until nothing is left."""
    while (await runtime.process_runs()).completed or (await runtime.process_inbox()).applied:
        pass
    await runtime.process_outbox()


async def test_the_row_is_there_with_the_booking_and_gone_when_it_lapses(agency: Agency, runtime, clock: FakeClock):
    trip = await runtime.create_instance("trip")
    await runtime.trigger_event(trip, "book")
    assert await noted(agency.store, trip.id) is None
    await work(runtime)
    assert await noted(agency.store, trip.id) == ("FLIGHT-1", "HOTEL-1", "CAR-1")

    clock.advance("3d")
    await runtime.process_timeouts()
    await work(runtime)
    assert (await runtime.get_instance(trip.id)).state == "lapsed"
    assert await noted(agency.store, trip.id) is None
    assert [company.booked for company in (agency.partners.flight, agency.partners.hotel)] == [{}, {}]


async def test_no_row_is_left_of_a_trip_that_was_called_off(agency: Agency, runtime):
    agency.partners.car.meets.append(SoldOut())
    trip = await runtime.create_instance("trip")
    await runtime.trigger_event(trip, "book")
    await work(runtime)
    assert (await runtime.get_instance(trip.id)).state == "called_off"
    assert await noted(agency.store, trip.id) is None
    assert agency.partners.flight.booked == {}


async def test_a_mail_is_written_once_for_each_transition(agency: Agency, runtime):
    trip = await runtime.create_instance("trip")
    await runtime.send(trip.id, "approve")
    await runtime.trigger_event(trip, "book")
    await work(runtime)
    assert list(agency.mails.values()) == [
        "we have your plan",
        "all is booked",
        "have a good journey",
        "your vouchers are in the mail",
    ]


async def test_a_dead_worker_is_followed_by_another_that_books_nothing_twice(agency: Agency, runtime, clock: FakeClock):
    trip = await runtime.create_instance("trip")
    await runtime.trigger_event(trip, "book")
    await runtime.running().runs.claim(1)
    await work(runtime)
    assert (await runtime.get_instance(trip.id)).state == "planned"
    clock.advance("31s")
    await work(runtime)
    assert (await runtime.get_instance(trip.id)).state == "booked"
    assert [agency.partners.of(part).calls for part in ("flight", "hotel", "car")] == [1, 1, 1]


async def test_a_hotel_that_takes_nothing_back_needs_a_person(agency: Agency, runtime, clock: FakeClock):
    agency.partners.hotel.takes_back = False
    agency.partners.car.meets.append(SoldOut())
    trip = await runtime.create_instance("trip")
    await runtime.trigger_event(trip, "book")
    for _ in range(3):
        await work(runtime)
        clock.advance("1m")
    with pytest.raises(RunParked, match="picks up"):
        await runtime.wait(trip.id)
    assert "cancel_hotel" in str(await runtime.explain(trip.id))

    agency.partners.hotel.takes_back = True
    await runtime.retry(trip.id)
    await work(runtime)
    assert (await runtime.get_instance(trip.id)).state == "called_off"
    assert agency.partners.hotel.booked == {}


async def test_a_hotel_that_is_away_is_called_again(agency: Agency, runtime, clock: FakeClock):
    agency.partners.hotel.meets.append(Unreachable())
    trip = await runtime.create_instance("trip")
    await runtime.trigger_event(trip, "book")
    await work(runtime)
    clock.advance("1s")
    await work(runtime)
    assert (await runtime.get_instance(trip.id)).state == "booked"
    assert (agency.partners.flight.calls, agency.partners.hotel.calls) == (1, 2)


async def test_a_voucher_that_is_cancelled_does_not_hold_up_the_other(runtime):
    trip = await runtime.create_instance("trip")
    await runtime.send(trip.id, "approve")
    await runtime.trigger_event(trip, "book")
    await runtime.process_runs()
    await runtime.process_inbox()
    hotel, _ = sorted(await runtime.find_instances(parent=trip.id), key=lambda child: child.context["part"] == "car")
    await runtime.cancel(hotel, reason="paper jam")
    await work(runtime)
    found = await runtime.get_instance(trip.id)
    assert (found.state, found.context["vouchers"]) == ("ready", ["voucher for CAR-1"])


async def test_what_was_booked_is_there_in_the_next_process(tmp_path: Path, runtime, clock: FakeClock):
    trip = await runtime.create_instance("trip")
    await runtime.trigger_event(trip, "book")
    other = Agency(SqliteStore(tmp_path / "travel.db"), clock=clock)
    async with other.open() as elsewhere:
        await work(elsewhere)
    assert (await runtime.get_instance(trip.id)).state == "booked"
    assert other.partners.flight.calls == 1


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(": ")
    return name.lower(), value


async def test_a_customer_hears_of_a_trip_by_a_signed_hook(tmp_path: Path):
    heard = []

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(_header(line) for line in head.splitlines()[1:] if line)
        heard.append((await reader.readexactly(int(headers["content-length"])), headers))
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    secret = new_secret()
    server = await asyncio.start_server(receive, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/trips"
    async with server, WebhookSink(url, secret=secret, allow_http=True, allow_private=True) as customer:
        agency = Agency(
            SqliteStore(tmp_path / "hooked.db"), subscribers=[customer.subscriber("trip.book", name="customer")]
        )
        async with agency.open() as runtime:
            trip = await runtime.create_instance("trip")
            await runtime.trigger_event(trip, "book")
            await work(runtime)
    ((body, headers),) = heard
    assert Webhook(secret).verify(body, headers)["data"]["to_state"] == "booked"
