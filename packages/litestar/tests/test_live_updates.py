"""Websockets: handlers have the service, and hear of transitions by Litestar's channels."""

import logging
from typing import Any

from litestar import Litestar, WebSocket, websocket
from litestar.channels import ChannelsPlugin
from litestar.channels.backends.memory import MemoryChannelsBackend
from litestar.di import NamedDependency
from litestar.testing import TestClient

from detent import MemoryStore, WorkflowDefinition, WorkflowInstance, WorkflowService
from detent_litestar import ChannelsBridge, WorkflowConfig, WorkflowPlugin, channels_of

LAMP = WorkflowDefinition.from_dict(
    {
        "name": "lamp",
        "initial_state": "off",
        "states": {"off": {"events": {"push": {"target": "on"}}}, "on": {"events": {"push": {"target": "off"}}}},
    }
)


@websocket("/lamp")
async def lamp(
    socket: WebSocket[Any, Any, Any],
    workflows: NamedDependency[WorkflowService],
    channels: NamedDependency[ChannelsPlugin],
) -> None:
    """Makes a lamp, pushes it whenever it is told to, and tells what its channels say, until it hears `off`."""
    await socket.accept()
    async with channels.start_subscription(["workflow.lamp", "hall"]) as news:
        made = await workflows.create_instance("lamp", context={"secret": "of the house"})
        events = news.iter_events()
        await socket.send_text(await anext(events))
        while await socket.receive_text() == "push":
            await workflows.trigger_event(made.id, "push")
            await socket.send_text(await anext(events))
    await socket.close()


def application(**options) -> Litestar:
    channels = ChannelsPlugin(MemoryChannelsBackend(), arbitrary_channels_allowed=True)
    bridge = ChannelsBridge(channels, **options)
    plugin = WorkflowPlugin(WorkflowConfig(store=MemoryStore(), definitions=[LAMP], observers=[bridge]))
    return Litestar([lamp], plugins=[channels, plugin], logging_config=None)


def test_a_websocket_hears_of_what_its_own_service_does():
    with TestClient(application()) as client, client.websocket_connect("/lamp") as socket:
        created = socket.receive_json()
        socket.send_text("push")
        pushed = socket.receive_json()
        socket.send_text("off")
    assert (created["event"], created["to_state"], created["sequence"]) == ("$created", "off", 1)
    assert (pushed["event"], pushed["from_state"], pushed["to_state"], pushed["sequence"]) == ("push", "off", "on", 2)
    assert pushed["instance_id"] == created["instance_id"]
    assert (pushed["status"], pushed["outcome"]) == ("active", "success")
    assert "secret" not in str(created), "what is in the context is nobody's business"


def test_channels_and_what_is_published_can_be_chosen():
    app = application(names=lambda instance: ["hall"], view=lambda seen: {"now": seen.entry.to_state})
    with TestClient(app) as client, client.websocket_connect("/lamp") as socket:
        assert socket.receive_json() == {"now": "off"}
        socket.send_text("off")


async def test_there_is_a_channel_for_a_workflow_and_one_for_each_instance():
    plugin = WorkflowPlugin(WorkflowConfig(store=MemoryStore(), definitions=[LAMP]))
    async with Litestar(plugins=[plugin], logging_config=None).lifespan():
        made = await plugin.runtime.create_instance("lamp")
    assert channels_of(made) == ["workflow.lamp", f"instance.{made.id}"]


async def test_a_bridge_that_fails_is_logged_and_harms_nothing(caplog):
    def nowhere(instance: WorkflowInstance) -> list[str]:
        raise LookupError("no such channel")

    app = application(names=nowhere)
    with caplog.at_level(logging.ERROR):
        async with app.lifespan():
            runtime = WorkflowPlugin.of(app).runtime
            made = await runtime.create_instance("lamp")
            assert (await runtime.trigger_event(made.id, "push")).to_state == "on"
            await runtime.settled()
    assert [record.getMessage() for record in caplog.records] == [
        "observer ChannelsBridge failed on '$created'",
        "observer ChannelsBridge failed on 'push'",
    ]
