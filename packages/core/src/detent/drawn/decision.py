"""What a step decides for where its diagram has a choice. The idea, and that nothing but the choice makes one, is gamgee's."""

from typing import Never, TypeVar

D = TypeVar("D", bound="Decision")


class Decision:
    """Which way out of a choice is taken, and with what payload. Only the methods of the choice's `Options` make one."""

    __slots__ = ("_event", "_payload")
    _event: str | None
    _payload: object

    def __init__(self, made_by_the_choice: Never, /) -> None:
        raise TypeError(f"a {type(self).__name__} is made by the methods of its choice alone")

    def __eq__(self, other: object) -> bool:
        """Whether both take the same way with equal payloads: what a test of a step asks."""
        return isinstance(other, Decision) and type(other) is type(self) and taken(other) == taken(self)

    __hash__ = None  # type: ignore[assignment]  # payloads have none

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._event or 'otherwise'}>"


class Options:
    """The ways out of one choice, each a method that takes what its target is given and answers the `Decision` for it."""

    def _decided(self, kind: type[D], event: str | None, payload: object = None) -> D:
        """A decision for `event`; `None` is the way without a label. A way to the end has no payload."""
        decision = object.__new__(kind)
        decision._event, decision._payload = event, payload
        return decision


def taken(decision: Decision) -> tuple[str | None, object]:
    """The event that was decided for, `None` for the way without a label, and the payload, `None` on the way to an end."""
    return decision._event, decision._payload
