"""The limits of a runtime: what means nothing is refused where it is written."""

from datetime import timedelta

import pytest

from detent import Settings
from detent.errors import InvalidValue


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"run_retry": {"attempts": 3}}, r"pass Retry\("),
        ({"inbox_retry": None}, r"pass Retry\("),
        ({"max_chain": 0}, "a whole number from 1"),
        ({"max_crashes": "3"}, "a whole number from 1"),
        ({"max_crashes": True}, "a whole number from 1"),
        ({"keep_receipts": 30}, r"pass a timedelta such as timedelta\(seconds=30\)"),
        ({"keep_runs": "7d"}, r"pass a timedelta such as timedelta\(seconds=30\)"),
        ({"keep_dead": timedelta(0)}, "longer than nothing"),
        ({"command_timeout": timedelta(-1)}, "longer than nothing"),
        ({"command_timeout": 5}, "pass a timedelta"),
        ({"drain": timedelta(seconds=-1)}, "longer than nothing"),
        ({"record_changes": "yes"}, "pass True or False"),
        ({"lease": timedelta(milliseconds=99)}, "pass 0.1s or longer"),
    ],
)
def test_settings_that_mean_nothing_are_refused_with_a_hint(written, said):
    with pytest.raises(InvalidValue, match=said) as caught:
        Settings(**written)
    assert caught.value.path == next(iter(written))


def test_a_command_may_have_no_timeout_and_a_drain_no_time():
    settings = Settings(
        command_timeout=None, drain=timedelta(0), step_budget=timedelta(0), lease=timedelta(seconds=0.1)
    )
    assert settings.drain == settings.step_budget == timedelta(0)
