"""What is said of a class whose methods are not those of its diagram, and who makes its objects."""

import pytest
from dishka import Provider, Scope, make_async_container, provide

from detent import MemoryStore, WorkflowRuntime
from detent.drawn import DrawnWorkflow
from detent.errors import AlreadyStarted, InvalidValue, RegistrationInvalid, UnknownWorkflow
from detent.integrations.dishka import DishkaInjector, WorkflowProvider

TEXT = """\
---
title: shipping
---
stateDiagram-v2
    [*] --> packItems
    packItems --> waiting
    waiting --> sent : pick_up
    waiting --> waiting : look
    sent --> [*]
"""


@pytest.fixture
def base(drawn):
    return drawn(TEXT, name="shipping").ShippingBase


def registered(workflow):
    WorkflowRuntime(store=MemoryStore()).register(workflow)


def test_a_missing_method_is_named_with_the_one_that_was_meant(base):
    class Shipping(base):  # type: ignore[misc,valid-type]
        async def pack_item(self, payload): ...

    with pytest.raises(RegistrationInvalid) as refused:
        registered(Shipping)
    told = "the method pack_items of the state 'packItems' is missing, did you mean 'pack_item'?"
    assert (refused.value.reason, refused.value.hint) == (told, "it is drawn in shipping.mmd")


@pytest.mark.parametrize("name", ["waiting", "sent"])
def test_a_method_called_like_a_state_that_does_nothing_is_refused(base, name):
    async def pack_items(self, payload): ...

    shipping = type("Shipping", (base,), {"pack_items": pack_items, name: pack_items})
    with pytest.raises(
        RegistrationInvalid, match=f"the method {name} is never called: the state '{name}' does no work"
    ):
        registered(shipping)


def test_work_of_a_state_that_ends_the_workflow_is_told_how_to_draw_it(base):
    async def work(self, payload): ...

    for name, told in {"sent": "does no work, draw `: do / sent` behind it", "waiting": "does no work"}.items():
        with pytest.raises(RegistrationInvalid) as refused:
            registered(type("Shipping", (base,), {"pack_items": work, name: work}))
        assert refused.value.reason.endswith(told)


def test_a_method_that_is_not_async_or_takes_something_else_is_refused(base):
    class NotAsync(base):  # type: ignore[misc,valid-type]
        def pack_items(self, payload): ...

    class TakesTwo(base):  # type: ignore[misc,valid-type]
        async def pack_items(self, payload, more): ...

    for workflow, told in (
        (NotAsync, "pack_items is no `async def`"),
        (TakesTwo, "must take the payload and nothing else"),
    ):
        with pytest.raises(RegistrationInvalid, match=told):
            registered(workflow)


def test_an_object_in_place_of_the_class_is_told(base):
    class Shipping(base):  # type: ignore[misc,valid-type]
        async def pack_items(self, payload): ...

    with pytest.raises(InvalidValue, match=r"is a Shipping, .*pass the class itself, and no object of it"):
        registered(Shipping())


def test_a_class_without_a_drawing_is_refused():
    class Alone(DrawnWorkflow[None]): ...

    with pytest.raises(RegistrationInvalid, match="it has no drawing"):
        registered(Alone)


async def test_methods_may_come_from_a_mixin_and_helpers_are_left_alone(base, started):
    class Packing:
        async def pack_items(self, payload):
            return self.packed(payload)

        def packed(self, payload):
            return {"packed": True}

    class Shipping(Packing, base): ...  # type: ignore[misc,valid-type]

    runtime = await started(Shipping)
    handle = await Shipping.submit(runtime, {})
    await runtime.process_runs()
    assert (await handle.get_instance()).context == {"packed": True}


class Scales:
    made = 0

    def __init__(self) -> None:
        Scales.made += 1


class Parts(Provider):
    scales = provide(Scales, scope=Scope.ACTION)


async def test_what_the_constructor_asks_for_comes_from_the_container_anew_for_each_execution(base, started):
    used = []

    class Shipping(base):  # type: ignore[misc,valid-type]
        def __init__(self, scales: Scales) -> None:
            self.scales = scales

        async def pack_items(self, payload):
            used.append(self.scales)
            return {}

    container = make_async_container(Parts(), WorkflowProvider(Shipping))
    runtime = await started(Shipping, injector=DishkaInjector(container))
    for _ in range(2):
        await Shipping.submit(runtime, {})
    await runtime.process_runs()
    assert len({id(scales) for scales in used}) == 2
    await container.close()


async def test_a_class_that_needs_something_and_has_no_container_is_refused_at_the_start(base):
    class Shipping(base):  # type: ignore[misc,valid-type]
        def __init__(self, scales: Scales) -> None: ...

        async def pack_items(self, payload): ...

    runtime = WorkflowRuntime(store=MemoryStore())
    runtime.register(Shipping)
    with pytest.raises(RegistrationInvalid, match="give the runtime an injector, and let a provider make Shipping"):
        await runtime.__aenter__()


async def test_a_class_that_was_not_registered_says_so_when_it_is_submitted(base, started):
    runtime = await started()
    with pytest.raises(UnknownWorkflow, match=r"register the class before .*: runtime.register\(ShippingBase\)"):
        await base.submit(runtime, {})


async def test_a_class_is_registered_once_however_often_it_is_named(base, started):
    class Shipping(base):  # type: ignore[misc,valid-type]
        async def pack_items(self, payload):
            return {}

    runtime = await started(Shipping, Shipping, definitions=Shipping.definitions, commands=Shipping.commands)
    assert [definition.name for definition in runtime.definitions] == ["shipping"]
    with pytest.raises(AlreadyStarted):
        runtime.register(Shipping)


def test_two_classes_of_one_diagram_cannot_both_be_registered(base):
    class One(base):  # type: ignore[misc,valid-type]
        async def pack_items(self, payload): ...

    class Two(One): ...

    runtime = WorkflowRuntime(store=MemoryStore())
    runtime.register(One)
    with pytest.raises(RegistrationInvalid, match=r"'shipping.packItems': another command of this name"):
        runtime.register(Two)
