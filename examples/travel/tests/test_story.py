"""The story, as it is told."""

from examples.travel.story import main

BEGINS = """\
  1  Ada Lovelace plans     → planned
  2  approve is sent        → planned     it waits for a state that takes it
  3  book                   → planned     accepted
  4  a worker works         → ready       2 calls of the hotel
     voucher for CAR-1 · voucher for HOTEL-2
     the agency's own row: FLIGHT-1 · HOTEL-2 · CAR-1
  5  Grace Hopper plans     → planned
  6  book                   → planned     accepted
  7  the worker goes home   → planned     in the middle of booking the car
  8  another goes on        → booked      calls: 1 of the flight, 2 of the car
  9  Mary Somerville plans  → planned
 10  book                   → planned     accepted
 11  a worker works         → called_off  there is no car left
     book_flight, book_hotel, book_car, cancel_hotel, cancel_flight
 12  Emmy Noether plans     → planned
 13  book                   → planned     accepted
 14  a worker gives up      → planned     Unreachable: nobody at the hotel picks up; it was undoing what was done"""


async def test_the_story_is_told_to_its_end(tmp_path, capsys):
    await main(tmp_path / "travel.db")
    told = capsys.readouterr().out
    assert told.startswith(BEGINS)
    assert " 16  a worker goes on       → called_off  the rest was undone\n" in told
    assert told.count("mail: ") == 10
