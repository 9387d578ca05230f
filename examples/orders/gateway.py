"""How customers hear from the shop: a protocol for the commands, and a fake of it that remembers what was sent."""

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Message:
    """One message to a customer."""

    customer: str
    text: str


class CustomerGateway(Protocol):
    """Sends messages. A real one would talk to a mail or SMS provider."""

    async def send(self, message: Message) -> None:
        """Send `message`, or raise."""
        ...


@dataclass(slots=True)
class RecordingGateway:
    """A gateway inside the process: nothing leaves it, and what was sent can be read."""

    sent: list[Message] = field(default_factory=list)
    broken: bool = False
    """Whether sending raises, as a provider that is down would."""

    async def send(self, message: Message) -> None:
        if self.broken:
            raise ConnectionError("the gateway does not answer")
        self.sent.append(message)
