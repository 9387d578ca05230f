"""Subscribers: what nobody could deliver to is refused where it is marked."""

import pytest

from detent import subscriber
from detent.errors import RegistrationInvalid


async def mail(delivery): ...


def plain(delivery): ...


@pytest.mark.parametrize(
    ("mark", "said"),
    [
        (lambda: subscriber()(mail), r"'mail': it names no topic \(@subscriber\(\"order\.\*\"\)\)"),
        (lambda: subscriber("")(mail), "'mail': it names no topic"),
        (lambda: subscriber("order.*", 3)(mail), "'mail': it names no topic"),  # type: ignore[arg-type]  # that is the point
        (lambda: subscriber(mail), "'mail': it names no topic"),  # type: ignore[arg-type]  # that is the point
        (lambda: subscriber("order.*")(plain), "'plain': it is no async function .*async def"),
        (lambda: subscriber("order.*", name="post")(plain), "'post': it is no async function"),
        (lambda: subscriber("order.*", timeout=30)(mail), r"'mail': its timeout is 30.*timedelta\(seconds=30\)"),  # type: ignore[arg-type]  # that is the point
        (lambda: subscriber("order.*", timeout="0s")(mail), "'mail': its timeout .* longer than nothing"),
        (lambda: subscriber("order.*", retry="nevr")(mail), "'mail': its retry .*did you mean 'never'"),  # type: ignore[arg-type]  # that is the point
    ],
)
def test_what_cannot_be_a_subscriber_is_refused_by_name_where_it_is_marked(mark, said):
    with pytest.raises(RegistrationInvalid, match=said):
        mark()
