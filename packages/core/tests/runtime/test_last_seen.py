"""What is remembered of instances, how much of it, and when it is not worth asking for."""

from dataclasses import replace

import pytest

from detent.errors import InvalidValue
from detent.runtime.last_seen import LastSeen
from detent.runtime.parts import Settings
from detent.testing.store_contract.samples import creation

ROOM = 1_000_000


def version_of(seen, record):
    found = seen.of(record.id)
    return found and found.version


def instance(**context):
    return replace(creation().instance, context=context)


def moved(record, by=1):
    return replace(record, version=record.version + by)


def test_the_last_one_is_remembered_as_it_was_committed():
    seen, record = LastSeen(ROOM), instance(list=[1])
    seen.keep(record, 0)
    record.context["list"].append(2)
    assert seen.of(record.id) == replace(record, context={"list": [1]})
    seen.keep(moved(record), 1)
    assert version_of(seen, record) == 2
    assert seen.workflow_of(record.id) == record.workflow


def test_what_is_copied_is_the_callers_to_edit():
    seen, record = LastSeen(ROOM), instance(list=[1])
    seen.keep(record, 0)
    copied = seen.copy_of(record.id)
    assert copied is not None
    copied.context["list"].append(2)
    assert seen.of(record.id) == replace(record, context={"list": [1]})


def test_what_was_never_seen_or_is_forgotten_is_not_answered():
    seen, record = LastSeen(ROOM), instance()
    seen.forget(record.id)
    seen.keep(record, 0)
    seen.forget(record.id)
    assert (seen.of(record.id), seen.copy_of(record.id), seen.workflow_of(record.id)) == (None, None, None)


def test_those_seen_longest_ago_make_room_for_others():
    seen, records = LastSeen(ROOM), [instance(text="x" * 90_000) for _ in range(12)]
    for record in records[:10]:
        seen.keep(record, 0)
    seen.keep(moved(records[0]), 1)
    for record in records[10:]:
        seen.keep(record, 0)
    kept = [record for record in records if seen.of(record.id)]
    assert kept == [records[0], *records[3:]]


@pytest.mark.parametrize("context", [{"text": "x" * ROOM}, {"list": [{"number": 1}] * 10_000}], ids=["text", "list"])
def test_one_that_has_no_room_is_not_kept_and_drives_nobody_out(context):
    seen, small, large = LastSeen(ROOM), instance(), instance(**context)
    seen.keep(small, 0)
    seen.keep(large, 0)
    assert seen.of(small.id)
    assert seen.of(large.id) is None


def test_an_instance_that_grew_too_large_is_not_answered_as_it_was():
    seen, record = LastSeen(ROOM), instance()
    seen.keep(record, 0)
    seen.keep(replace(moved(record), context={"text": "x" * ROOM}), 1)
    assert seen.of(record.id) is None


def test_where_others_write_most_of_the_time_nothing_is_answered_until_they_do_so_no_more():
    seen, record = LastSeen(ROOM), instance()
    seen.keep(record, 0)
    for _ in range(100):
        record = moved(record, by=2)
        seen.keep(record, record.version - 1)
    assert seen.of(record.id) is None
    assert seen.workflow_of(record.id) == record.workflow
    for _ in range(100):
        record = moved(record)
        seen.keep(record, record.version - 1)
    assert version_of(seen, record) == record.version


def test_one_that_was_overtaken_now_and_then_is_answered_still():
    seen, record = LastSeen(ROOM), instance()
    seen.keep(record, 0)
    for turn in range(400):
        record = moved(record, by=2 if turn % 8 == 0 else 1)
        seen.keep(record, record.version - 1)
    assert seen.of(record.id)


@pytest.mark.parametrize("remember", [-1, 1.5, True, "16 MB"])
def test_what_is_no_number_of_bytes_is_refused(remember):
    with pytest.raises(InvalidValue, match="remember"):
        Settings(remember=remember)
