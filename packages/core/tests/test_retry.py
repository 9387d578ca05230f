"""The retry policy: what one may not say is refused where it is said, and not later in a worker."""

from datetime import timedelta

import pytest

from detent.errors import InvalidValue
from detent.retry import Retry


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ({"attempts": 0}, "a whole number from 1"),
        ({"attempts": True}, "a whole number from 1"),
        ({"attempts": 2.5}, "a whole number from 1"),
        ({"attempts": "3"}, "a whole number from 1"),
        ({"initial": "1s"}, "timedelta(seconds=1)"),
        ({"initial": 1}, "timedelta(seconds=1)"),
        ({"initial": timedelta(-1)}, "timedelta(seconds=1)"),
        ({"maximum": "1h"}, "timedelta(seconds=1)"),
        ({"factor": 0.5}, "a number from 1"),
        ({"factor": float("nan")}, "a number from 1"),
        ({"factor": float("inf")}, "a number from 1"),
        ({"jitter": -0.1}, "from 0 to 1"),
        ({"jitter": 1.1}, "from 0 to 1"),
        ({"jitter": None}, "from 0 to 1"),
        ({"retry_on": ValueError}, "a tuple of exception classes"),
        ({"retry_on": [ValueError]}, "a tuple of exception classes"),
        ({"give_up_on": ("ValueError",)}, "a tuple of exception classes"),
        ({"give_up_on": (KeyboardInterrupt,)}, "a tuple of exception classes"),
    ],
)
def test_a_policy_that_means_nothing_is_refused_with_a_hint(written, hint):
    with pytest.raises(InvalidValue) as caught:
        Retry(**written)
    assert caught.value.path == next(iter(written))
    assert hint in (caught.value.hint or "")


def test_a_maximum_below_the_first_delay_bounds_it_as_well():
    policy = Retry(initial=timedelta(minutes=2), maximum=timedelta(minutes=1), jitter=0)
    assert policy.delay(1) == timedelta(minutes=1)


def test_whole_numbers_and_no_delay_at_all_are_fine():
    policy = Retry(initial=timedelta(0), factor=2, jitter=0, retry_on=(OSError, ValueError))
    assert policy.delay(7) == timedelta(0)
