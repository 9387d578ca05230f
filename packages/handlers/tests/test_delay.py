"""`delay`: how long, until when, and that it never sleeps."""

from datetime import UTC, datetime, timedelta

import pytest

from detent.flows.results import Failure, Wait
from detent_handlers import delay
from packages.handlers.tests.calling import call, problems

CONFIG = "steps.first.config"


@pytest.mark.parametrize(
    ("config", "length"),
    [
        ({"ms": 1500}, timedelta(seconds=1.5)),
        ({"delayMs": 250}, timedelta(milliseconds=250)),
        ({"days": 1, "hours": 2, "minutes": 3, "seconds": 4, "ms": 5}, timedelta(1, 7384, 5000)),
        ({"hours": 0.5}, timedelta(minutes=30)),
        ({"seconds": 0}, timedelta()),
    ],
)
async def test_amounts_are_added_up(config, length):
    assert await call(delay, config=config) == Wait(length, "a delay")


@pytest.mark.parametrize("text", ["2030-02-01T09:00:00+01:00", "2030-02-01T08:00:00Z", "20300201T080000Z"])
async def test_an_instant_is_read_with_its_zone(text):
    assert await call(delay, config={"until": text}) == Wait(datetime(2030, 2, 1, 8, tzinfo=UTC), "a delay")


async def test_the_input_says_it_where_the_config_says_nothing():
    said = {"hours": 2, "order": 5}
    assert await call(delay, input=said) == Wait(timedelta(hours=2), "a delay")
    assert await call(delay, config={"minutes": 1}, input=said) == Wait(timedelta(minutes=1), "a delay")


@pytest.mark.parametrize(
    "given",
    [
        None,
        {},
        5,
        {"until": "tomorrow"},
        {"hours": "2"},
        {"ms": 1, "until": "2030-02-01T08:00:00Z"},
        {"days": 999_999_999},
    ],
)
async def test_an_input_that_says_no_time_fails(given):
    answer = await call(delay, input=given)
    assert isinstance(answer, Failure)
    assert (answer.code, answer.retryable) == ("INPUT_VALIDATION_FAILED", False)


@pytest.mark.parametrize(
    ("config", "path", "said"),
    [
        ({"seconds": -1}, f"{CONFIG}.seconds", "greater than or equal to 0"),
        ({"seconds": True}, f"{CONFIG}.seconds", "must be a number"),
        ({"seconds": "5"}, f"{CONFIG}.seconds", "must be a number"),
        ({"weeks": 1}, f"{CONFIG}.weeks", "there is no key"),
        ({"days": 1e300}, CONFIG, "longer than can be waited for"),
        ({"until": "2030-02-01T08:00:00"}, f"{CONFIG}.until", "without its zone"),
        ({"until": "soon"}, f"{CONFIG}.until", "not an instant"),
        ({"until": 1_900_000_000}, f"{CONFIG}.until", "not an instant"),
        ({"until": "2030-02-01T08:00:00Z", "ms": 5}, CONFIG, "both how long and until when"),
    ],
)
def test_bad_config_is_found_with_the_flow(config, path, said):
    [problem] = problems("delay", config)
    assert problem.path == path
    assert said in str(problem)
