"""What a receiver is sent: a delivery as a body in JSON and as headers."""

import re
import string
from datetime import UTC
from urllib.parse import quote

from pydantic_core import to_json

from detent.store.messages import Delivery

HEADER_PREFIX = "x-message-"
"""Before the name of every header that the message brought along, so that none stands in for one that means something."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_PLAIN = string.punctuation.replace("%", "") + " "


def body_of(delivery: Delivery) -> bytes:
    """The body, which is the same bytes on every attempt.

    `type` is the topic, `timestamp` when the transition was committed and `data` the payload. The rest tells where it is from;
    `sequence` is the order within one instance.
    """
    return to_json(
        {
            "type": delivery.topic,
            "timestamp": delivery.created_at.astimezone(UTC),
            "data": delivery.payload,
            "instance_id": delivery.instance_id,
            "workflow": delivery.workflow,
            "sequence": delivery.sequence,
            "key": delivery.key,
            "tenant": delivery.tenant,
        }
    )


def headers_of(delivery: Delivery) -> dict[str, str]:
    """The headers of the message, behind `x-message-`; they are not signed.

    What a header cannot hold is percent-encoded, line breaks among it. A name that is no name of a header is left out.
    """
    headers = {"content-type": "application/json"}
    for name, value in delivery.headers.items():
        if _NAME.fullmatch(name):
            headers[HEADER_PREFIX + name.lower().replace("_", "-")] = quote(str(value).strip(" "), safe=_PLAIN)
    return headers
