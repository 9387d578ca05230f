"""Who is told of a trip: a subscriber that writes mails into a list."""

from collections.abc import Awaitable, Callable

from detent import Delivery, subscriber

WORDS = {
    "trip.created": "we have your plan",
    "trip.approve": "have a good journey",
    "trip.vouchers_printed": "your vouchers are in the mail",
    "trip.lapse": "nobody approved, so we gave everything back",
}


def mailing_to(box: dict[str, str]) -> Callable[[Delivery], Awaitable[None]]:
    """A subscriber that puts each mail into `box`, under the delivery's id: told twice, it writes once."""

    @subscriber("trip.*", name="mails")
    async def mail(delivery: Delivery) -> None:
        box.setdefault(str(delivery.id), _text(delivery))

    return mail


def _text(delivery: Delivery) -> str:
    if delivery.topic == "trip.book":
        return "all is booked" if delivery.payload["outcome"] == "success" else "we are sorry: the trip is called off"
    return WORDS[delivery.topic]
