"""The service: the runtime's verbs for one caller."""

import pytest

from detent import MemoryStore, WorkflowDefinition, WorkflowRuntime, WorkflowService
from detent.errors import InvalidValue, UnknownWorkflow
from detent.service.schemas import HistoryEntryView, InstanceView, TransitionView

DOOR = {
    "name": "door",
    "initial_state": "closed",
    "states": {
        "closed": {"events": {"open": {"target": "opened"}, "brick": {"target": "wall"}}},
        "opened": {"events": {"close": {"target": "closed"}}},
        "wall": {},
    },
}


@pytest.fixture
async def store():
    return MemoryStore()


@pytest.fixture
async def service(store):
    async with WorkflowRuntime(store=store, definitions=[WorkflowDefinition.from_dict(DOOR)]) as runtime:
        yield WorkflowService(runtime)


async def test_who_acts_is_said_once_and_stands_in_every_entry(service):
    ana = service.acting(actor="ana", source="web")
    door = await ana.create_instance("door")
    await ana.get_handle(door).trigger_event("open", trigger_metadata={"source": "app"})
    opened, created = await service.get_history(door.id)
    assert created.trigger_metadata == {"actor": "ana", "source": "web"}
    assert opened.trigger_metadata == {"actor": "ana", "source": "app"}


async def test_within_a_transaction_every_call_joins_it_handles_included(service, store):
    async with store.begin() as connection:
        joined = service.within(connection)
        door = await joined.create_instance("door")
        result = await joined.get_handle(door.id).trigger_event("open")
        assert result.to_state == "opened"
        assert await store.load(door.id) is None
        assert (await joined.get_instance(door.id)).state == "opened"
        assert [entry.event for entry in await joined.get_history(door.id)] == ["open", "$created"]
        assert [event.name for event in await joined.get_handle(door.id).get_available_events()] == ["close"]
        assert "class opened now" in await joined.instance_to_mermaid(door.id)
    assert (await service.get_instance(door.id)).state == "opened"
    assert [event.name for event in await service.get_handle(door.id).get_available_events()] == ["close"]
    assert (await service.get_handle(door.id).get_instance()).state == "opened"
    assert len(await service.get_handle(door.id).get_history()) == 2


async def test_diagrams_come_from_the_definition_and_from_one_instances_way(service):
    door = await service.create_instance("door")
    await service.trigger_event(door.id, "open")
    assert "closed --> opened" in service.to_mermaid("door")
    marked = await service.instance_to_mermaid(door.id)
    assert "class opened now" in marked
    assert marked != service.to_mermaid("door")
    with pytest.raises(UnknownWorkflow):
        service.to_mermaid("gate")
    assert service.workflows == ["door"]


@pytest.mark.parametrize("wrong", [{"style": "flow"}, {"direction": "down"}])
async def test_a_style_or_direction_that_is_none_is_refused(service, wrong):
    with pytest.raises(InvalidValue, match=r"flowchart|known: 'BT'"):
        service.to_mermaid("door", **wrong)


async def test_the_views_are_made_from_the_records_as_they_are(service):
    door = await service.create_instance("door", context={"colour": "red"})
    result = await service.trigger_event(door.id, "open", payload={"key": 1})
    seen = TransitionView.model_validate(result)
    assert (seen.to_state, seen.instance.context) == ("opened", {"colour": "red"})
    assert InstanceView.model_validate(door).model_dump(mode="json")["status"] == "active"
    entry = HistoryEntryView.model_validate((await service.get_history(door.id))[0])
    assert (entry.event, entry.payload) == ("open", {"key": 1})
