"""A change is sound when it is made."""

from dataclasses import replace

import pytest

from detent.testing.store_contract.samples import creation, step


@pytest.mark.parametrize("sequence", [1, 3])
def test_entries_follow_the_version_without_gaps(sequence):
    change = step(creation().instance)
    with pytest.raises(ValueError, match="must be"):
        replace(change, entries=(replace(change.entries[0], sequence=sequence),))
