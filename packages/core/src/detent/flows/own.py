"""A flow's own affairs, which it keeps in the instance's context under a key that handlers do not see."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Self

from detent.flows.names import OWN
from detent.json_values import JsonObject, JsonValue


@dataclass(frozen=True, slots=True)
class WaitedFor:
    """What a flow waits for."""

    reason: str | None
    details: JsonObject | None
    since: datetime
    form: JsonObject | None = None
    """The JSON Schema of what ends it."""

    @classmethod
    def of(cls, kept: JsonObject) -> Self:
        """As it was kept."""
        return cls(kept["reason"], kept["details"], datetime.fromisoformat(kept["since"]), kept.get("form"))

    def to_json(self) -> JsonObject:
        """As it is kept."""
        form = {} if self.form is None else {"form": self.form}
        return {"reason": self.reason, "details": self.details, "since": self.since.isoformat(), **form}


@dataclass(frozen=True, slots=True)
class Own:
    """What a flow knows of itself, beside its state."""

    steps: int = 0
    """How many steps were begun."""
    wake: datetime | None = None
    """When it goes on by itself."""
    wait_deadline: datetime | None = None
    """When it is cancelled if it still waits then."""
    wait_limit: timedelta | None = None
    """How long each wait may take."""
    deadline: datetime | None = None
    """When it is cancelled if it has not ended by then."""
    wait: WaitedFor | None = None
    cancellation: JsonObject | None = None
    """`source`, `reason`, `cancelled_at`, where it ended by a timeout."""
    tokens: JsonObject = field(default_factory=dict[str, JsonValue])
    """Resume tokens, by the hash of each."""
    values: JsonObject = field(default_factory=dict[str, JsonValue])
    """Where large values are kept, by their key of the context: `ref`, `bytes`."""
    dropped: list[str] = field(default_factory=list[str])
    """The refs of large values that nothing refers to since the last step: the next one takes them out."""

    @classmethod
    def of(cls, context: JsonObject) -> Self:
        """What stands in an instance's context."""
        kept = context.get(OWN) or {}
        wait = kept.get("wait")
        return cls(
            steps=kept.get("steps", 0),
            wake=_instant(kept.get("wake")),
            wait_deadline=_instant(kept.get("wait_deadline")),
            wait_limit=None if kept.get("wait_limit") is None else timedelta(seconds=kept["wait_limit"]),
            deadline=_instant(kept.get("deadline")),
            wait=wait and WaitedFor.of(wait),
            cancellation=kept.get("cancellation"),
            tokens=dict(kept.get("tokens") or {}),
            values=dict(kept.get("values") or {}),
            dropped=list(kept.get("dropped") or ()),
        )

    def to_json(self) -> JsonObject:
        """As it stands in the context: deadlines are there in any case, because timers read them."""
        return {
            "steps": self.steps,
            "wake": _text(self.wake),
            "wait_deadline": _text(self.wait_deadline),
            "wait_limit": None if self.wait_limit is None else self.wait_limit.total_seconds(),
            "deadline": _text(self.deadline),
            "wait": None if self.wait is None else self.wait.to_json(),
            "cancellation": self.cancellation,
            "tokens": self.tokens,
            "values": self.values,
            **({"dropped": self.dropped} if self.dropped else {}),
        }

    def going_on(self) -> Self:
        """The same when a step begins: nothing is waited for."""
        return replace(self, steps=self.steps + 1, wake=None, wait_deadline=None, wait=None)

    def keeping(self, values: JsonObject) -> Self:
        """The same with large values in the place of those that were kept."""
        left = {where["ref"] for where in values.values()}
        dropped = sorted({where["ref"] for where in self.values.values()} - left)
        return replace(self, values=values, dropped=dropped)

    def waiting(self, until: datetime | timedelta | None, wait: WaitedFor) -> Self:
        """The same while it waits."""
        limit = None if self.wait_limit is None else wait.since + self.wait_limit
        wake = wait.since + until if isinstance(until, timedelta) else until
        return replace(self, wake=wake, wait_deadline=limit, wait=wait)

    def expired(self, reason: str, now: datetime) -> Self:
        """The same when a deadline has passed."""
        told = {"source": "timeout", "reason": reason, "cancelled_at": now.isoformat()}
        return replace(self, cancellation=told)


def without_own(context: JsonObject) -> JsonObject:
    """The context as handlers and callers see it."""
    return {key: value for key, value in context.items() if key != OWN}


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat()
