"""What decorators and exceptions are told about times and policies."""

from datetime import timedelta

import pytest

from detent import RetryAfter, command
from detent.errors import InvalidValue, RegistrationInvalid


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"retry": {"atempts": 3}}, "there is no key 'atempts' here.*did you mean 'attempts'"),
        ({"retry": {"attempts": 0}}, "attempts: must be greater than or equal to 1"),
        ({"retry": {"initial": "soon"}}, "initial: 'soon' is not a duration"),
        ({"retry": {"initial": 5, "factor": "x"}}, "initial: 5 is not a duration; factor: must be a number"),
        ({"retry": "nevr"}, "must be 'never' or an object, not 'nevr' .*did you mean 'never'"),
        ({"retry": 3}, "its retry cannot be read: must be an object"),
        ({"timeout": 5}, r"its timeout is 5.*write \"5s\", or pass timedelta\(seconds=5\)"),
        ({"timeout": "50ms"}, r"'50ms' is not a duration \(write 0.05s, or pass a timedelta"),
        ({"timeout": "0s"}, "longer than nothing"),
    ],
)
def test_options_are_refused_in_the_words_of_the_one_who_wrote_them(options, said):
    with pytest.raises(RegistrationInvalid, match=said) as caught:
        command("charge", durable=True, **options)
    assert "pydantic" not in str(caught.value)
    assert "WrittenRetry" not in str(caught.value)


@pytest.mark.parametrize("after", [10, 10.0, "10s", timedelta(seconds=10)])
def test_an_attempt_may_ask_to_be_repeated_in_seconds_text_or_a_timedelta(after):
    asked = RetryAfter(after)
    assert asked.after == timedelta(seconds=10)
    assert str(asked) == "again after 0:00:10"


@pytest.mark.parametrize("after", [-1, "-1s", timedelta(-1), float("nan"), float("inf"), True, "soon", None])
def test_an_attempt_may_not_ask_to_be_repeated_before_it_failed_or_at_no_time(after):
    with pytest.raises(InvalidValue) as caught:
        RetryAfter(after)
    assert caught.value.path == "after"
