"""Which of two media types a client gets."""

import pytest

from detent.service.http.accept import preferred

OFFERS = ("text/plain", "text/vnd.mermaid")


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "text/*",
        "text/html",
        "text/plain, text/vnd.mermaid",
        "text/vnd.mermaid;q=0",
        ";,",
        "text/vnd.mermaid;q=x",
    ],
)
def test_who_has_no_other_wish_gets_plain_text(accept):
    assert preferred(accept, OFFERS) == "text/plain"


@pytest.mark.parametrize(
    "accept",
    [
        "text/vnd.mermaid",
        "Text/Vnd.Mermaid; Q=0.5",
        "text/html, text/vnd.mermaid;q=0.9, */*;q=0.1",
        "text/plain;q=0.2, text/vnd.mermaid;q=0.3",
        "text/plain;q=0, */*",
    ],
)
def test_who_would_rather_have_mermaid_gets_it(accept):
    assert preferred(accept, OFFERS) == "text/vnd.mermaid"
