"""The bank, inside the process, so that no money leaves it."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Bank:
    """Sends money once for each key."""

    sent: dict[str, int] = field(default_factory=dict)
    """Amounts in euros, by key."""

    async def send(self, key: str, amount: int) -> None:
        self.sent.setdefault(key, amount)
