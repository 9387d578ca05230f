"""Which of several media types a client would rather have."""

from collections.abc import Sequence


def preferred(accept: str, offers: Sequence[str]) -> str:
    """The offer that an `Accept` header likes best: of equals, and where it likes none, the first."""
    wanted = dict(filter(None, map(_range, accept.split(","))))
    return max(offers, key=lambda offer: _quality(offer, wanted))


def _range(said: str) -> tuple[str, float] | None:
    """A media range and its quality; what cannot be read as such is no wish."""
    name, *parameters = (part.strip().lower() for part in said.split(";"))
    quality = next((value[2:] for value in parameters if value.startswith("q=")), "1")
    try:
        return (name, min(max(float(quality), 0.0), 1.0)) if name else None
    except ValueError:
        return None


def _quality(offer: str, wanted: dict[str, float]) -> float:
    """That of the most exact range that the offer is in."""
    return next((wanted[name] for name in (offer, f"{offer.partition('/')[0]}/*", "*/*") if name in wanted), 0.0)
