"""Why a webhook was not delivered. None of them holds a secret, nor the path of the URL, which often is one.

DetentError
├── WebhookRefused        the receiver answered something else than success
├── WebhookUnreachable    no answer came
└── AddressRefused        the receiver's name leads to an address that is not on the public internet
"""

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


class WebhookUnreachable(DetentError):
    """No answer came: the receiver was not found, took no connection, broke off or was too slow.

    It may have got the message all the same.
    """

    code = "webhook_unreachable"

    def __init__(self, origin: str, reason: str) -> None:
        super().__init__(f"{origin} gave no answer: {reason}")
        self.origin = origin
        self.reason = reason


class AddressRefused(DetentError):
    """The host has an address inside a private network, or one that no host can have; nothing was sent."""

    code = "address_refused"

    def __init__(self, host: str, address: str) -> None:
        super().__init__(
            f"{host} has the address {address}, which is not on the public internet",
            hint="allow_private=True lets a sink call receivers inside your network",
        )
        self.host = host
        self.address = address
