"""A change is sound when it is made."""

from dataclasses import replace

import pytest

from detent.testing.store_contract.samples import creation, receipt_key, receipts_only, step


@pytest.mark.parametrize("sequence", [1, 3])
def test_entries_follow_the_version_without_gaps(sequence):
    change = step(creation().instance)
    with pytest.raises(ValueError, match="must be"):
        replace(change, entries=(replace(change.entries[0], sequence=sequence),))


def test_a_change_may_have_no_entries_where_the_version_stays():
    record = creation().instance

    assert receipts_only(record, receipt_key()).entries == ()


def test_a_change_without_entries_takes_the_version_nowhere():
    change = step(creation().instance)
    with pytest.raises(ValueError, match=r"must be \[2\]"):
        replace(change, entries=())
