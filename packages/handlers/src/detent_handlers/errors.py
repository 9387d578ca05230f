"""Why a call to the world outside came to nothing. None of them holds a secret, nor the path of the URL, which often is one.

DetentError
├── WebhookRefused            the receiver answered something else than success
├── Unreachable               no answer came
│   ├── TookTooLong           not in time
│   └── WebhookUnreachable    not to a webhook
├── TooManyRedirects          one redirect led to the next
└── AddressRefused            the host, or an address that its name leads to, may not be called
"""

from datetime import timedelta

from detent.errors import DetentError

_HINTS = {
    401: "does the receiver have the same secret?",
    403: "does the receiver have the same secret?",
    404: "is the path of the URL right?",
    413: "publish less in one message, and let the receiver ask for the rest",
}
_REDIRECTED = "redirects are not followed; give the sink the receiver's new URL"


class WebhookRefused(DetentError):
    """The receiver answered with a `status` that is no success; the delivery is tried again as its policy says."""

    code = "webhook_refused"

    def __init__(self, origin: str, status: int) -> None:
        hint = _REDIRECTED if 300 <= status < 400 else _HINTS.get(status)
        super().__init__(f"{origin} answered {status}", hint=hint)
        self.origin = origin
        self.status = status


class Unreachable(DetentError):
    """No answer came: the host was not found, took no connection, broke off, was too slow or cannot be understood.

    It may have got the request all the same.
    """

    code = "unreachable"

    def __init__(self, origin: str, reason: str) -> None:
        super().__init__(f"{origin} gave no answer: {reason}")
        self.origin = origin
        self.reason = reason


class WebhookUnreachable(Unreachable):
    """No answer came: the receiver was not found, took no connection, broke off or was too slow.

    It may have got the message all the same.
    """

    code = "webhook_unreachable"


class TookTooLong(Unreachable):
    """The answer was not there, or not to its end, when the time was over."""

    code = "took_too_long"

    def __init__(self, origin: str, timeout: timedelta) -> None:
        super().__init__(origin, f"it took longer than {timeout.total_seconds():g} s")
        self.timeout = timeout


class TooManyRedirects(DetentError):
    """One redirect led to the next, and more of them than are followed."""

    code = "too_many_redirects"

    def __init__(self, origin: str, limit: int) -> None:
        super().__init__(f"{origin} redirects more than {limit} times")
        self.origin = origin
        self.limit = limit


class AddressRefused(DetentError):
    """The host has an address inside a private network, or one that no host can have, or is on a deny list; nothing was sent.

    `address` is empty where the host is denied by its name.
    """

    code = "address_refused"

    def __init__(self, host: str, address: str = "", *, denied: bool = False) -> None:
        place = f"{host} has the address {address}, which" if address else host
        if denied:
            super().__init__(f"{place} is on the deny list")
        else:
            super().__init__(
                f"{place} is not on the public internet",
                hint="allow_private=True lets a call go inside your network",
            )
        self.host = host
        self.address = address
        self.denied = denied
