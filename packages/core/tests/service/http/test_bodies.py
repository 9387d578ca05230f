"""Which bodies are too large, by what was told of them and by what came."""

import pytest

from detent.service.http.bodies import why_too_large


@pytest.mark.parametrize("stated", ["101", "9" * 5000])
def test_a_body_that_is_said_to_be_too_large_is_not_read(stated):
    why = why_too_large(stated, 0, 100)
    assert why is not None
    assert why.status == 413


@pytest.mark.parametrize(
    "stated", [None, "100", "-1", "x", "", "\N{SUPERSCRIPT TWO}", "\N{ARABIC-INDIC DIGIT ONE}" * 9]
)
def test_of_a_length_that_says_nothing_what_came_counts(stated):
    assert why_too_large(stated, 100, 100) is None
    assert why_too_large(stated, 101, 100) is not None
