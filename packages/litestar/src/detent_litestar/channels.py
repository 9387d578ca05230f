"""A bridge to Litestar's channels: what happens to instances is published there, and so reaches the websockets of users."""

from collections.abc import Callable, Iterable
from typing import TypeAlias

from litestar.channels import ChannelsPlugin

from detent.json_values import JsonObject
from detent.runtime.observers import Observation, WorkflowObserver
from detent.store.records import WorkflowInstance

NamesOf: TypeAlias = Callable[[WorkflowInstance], Iterable[str]]
"""Says on which channels news of an instance are published."""
ViewOf: TypeAlias = Callable[[Observation], JsonObject]
"""Says what of a transition is published."""


def channels_of(instance: WorkflowInstance) -> list[str]:
    """The channel of all instances of a workflow, and that of one: `workflow.order` and `instance.01a1…`."""
    return [f"workflow.{instance.workflow}", f"instance.{instance.id}"]


def public_view(seen: Observation) -> JsonObject:
    """What everybody may know of a transition: where it led, and nothing of contexts, payloads or who sent them."""
    instance, entry = seen.instance, seen.entry
    return {
        "instance_id": str(instance.id),
        "workflow": instance.workflow,
        "sequence": entry.sequence,
        "event": entry.event,
        "outcome": entry.outcome.value,
        "from_state": entry.from_state,
        "to_state": entry.to_state,
        "status": instance.status.value,
        "at": entry.created_at.isoformat(),
    }


class ChannelsBridge(WorkflowObserver):
    """Publishes each creation and each transition on Litestar's channels, after its commit.

    ```python
    channels = ChannelsPlugin(MemoryChannelsBackend(), arbitrary_channels_allowed=True)
    plugins = [channels, WorkflowPlugin(WorkflowConfig(..., observers=[ChannelsBridge(channels)]))]
    ```

    `names` says on which channels, `view` what is published, as JSON; `channels_of` and `public_view` by default. The channels
    must be those of the plugin, or `arbitrary_channels_allowed`. Publishing waits for nothing, and a fault of it is logged: no
    call is slower or fails because of it. A process that dies in between publishes nothing, so that who must not miss anything
    reads history from the `sequence` that was seen last.
    """

    def __init__(self, channels: ChannelsPlugin, *, names: NamesOf = channels_of, view: ViewOf = public_view) -> None:
        self.channels = channels
        """Where it publishes."""
        self._names = names
        self._view = view

    async def on_created(self, seen: Observation) -> None:
        """Publish that an instance is there."""
        self._publish(seen)

    async def on_transition(self, seen: Observation) -> None:
        """Publish where an instance went."""
        self._publish(seen)

    def _publish(self, seen: Observation) -> None:
        self.channels.publish(self._view(seen), self._names(seen.instance))
