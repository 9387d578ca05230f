"""What a transition publishes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from detent.errors import InvalidValue
from detent.json_values import JsonValue, json_object, json_value

MAX_TOPIC = 200
"""How many characters a topic may have."""


@dataclass(frozen=True, slots=True)
class Message:
    """News of a transition: written to the outbox in its commit, and delivered to every subscriber of its topic."""

    topic: str
    """Words with dots between them: `order.paid`."""
    payload: JsonValue = None
    key: str | None = None
    """What receivers may group or partition by; the instance's id where nothing is said."""
    headers: Mapping[str, str] = field(default_factory=dict)


def checked_message(message: Message) -> Message:
    """A copy of `message` that every store can keep. Raises `InvalidValue`."""
    topic = message.topic
    if not topic or any(not word for word in str(topic).split(".")) or len(topic) > MAX_TOPIC:
        raise InvalidValue(
            "topic", f"is {topic!r}", hint=f"words with dots between them, {MAX_TOPIC} characters at most"
        )
    headers = json_object(message.headers, "headers")
    if not all(isinstance(value, str) for value in headers.values()):
        raise InvalidValue("headers", "must be texts")
    key = None if message.key is None else json_value(message.key, "key")
    return Message(json_value(topic, "topic"), json_value(message.payload, "payload"), key, headers)
