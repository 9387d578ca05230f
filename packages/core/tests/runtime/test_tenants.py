"""A caller that is bound to a tenant sees, touches and makes that tenant's instances and no other's."""

from contextlib import AsyncExitStack

import pytest

from detent import WorkflowDefinition, WorkflowRuntime, WorkflowService, command
from detent.errors import IdempotencyConflict, InstanceNotFound, InvalidValue

LEASE = WorkflowDefinition.from_dict(
    {
        "name": "lease",
        "initial_state": "asked",
        "states": {
            "asked": {"events": {"sign": {"target": "signed"}, "lapse": {"target": "lapsed", "timeout": "1d"}}},
            "signed": {},
            "lapsed": {},
        },
    }
)


@pytest.fixture
async def service(store, clock):
    async with WorkflowRuntime(store=store, definitions=[LEASE], clock=clock) as runtime:
        yield WorkflowService(runtime)


@pytest.fixture
def acme(service):
    return service.for_tenant("acme")


@pytest.fixture
def zeta(service):
    return service.for_tenant("zeta")


async def test_what_a_bound_caller_makes_is_its_tenants(acme, service):
    made = await acme.create_instance("lease")
    assert made.tenant == "acme"
    assert (await service.get_instance(made.id)).tenant == "acme"


async def test_an_unbound_caller_may_name_the_tenant_of_what_it_makes(service, acme):
    made = await service.create_instance("lease", tenant="acme")
    assert (await acme.get_instance(made.id)).id == made.id
    assert (await service.create_instance("lease")).tenant == ""


async def test_a_bound_caller_may_name_no_other(acme):
    assert (await acme.create_instance("lease", tenant="acme")).tenant == "acme"
    with pytest.raises(InvalidValue, match=r"'zeta'.*bound to 'acme'"):
        await acme.create_instance("lease", tenant="zeta")
    with pytest.raises(InvalidValue, match="tenant"):
        acme.for_tenant("zeta")


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("get_instance", ()),
        ("get_history", ()),
        ("get_available_events", ()),
        ("trigger_event", ("sign",)),
        ("cancel", ()),
        ("pause", ()),
        ("resume", ()),
        ("patch_context", ({"a": 1},)),
        ("rearm", ()),
        ("force", ("signed",)),
        ("retry", ()),
        ("instance_to_mermaid", ()),
    ],
)
async def test_another_tenants_instance_is_not_there(acme, zeta, service, verb, arguments):
    made = await acme.create_instance("lease")
    with pytest.raises(InstanceNotFound):
        await getattr(zeta, verb)(made.id, *arguments)
    assert await service.get_instance(made.id) == await acme.get_instance(made.id)
    assert (await service.get_instance(made.id)).version == 1


async def test_a_handle_is_as_bound_as_what_it_comes_from(acme, zeta):
    made = await acme.create_instance("lease")
    with pytest.raises(InstanceNotFound):
        await zeta.get_handle(made).trigger_event("sign")
    assert (await acme.get_handle(made).trigger_event("sign")).to_state == "signed"


async def test_another_tenants_key_answers_nobody_else(acme, zeta):
    made = await acme.create_instance("lease", idempotency_key="k", idempotency_fingerprint="1")
    other = await zeta.create_instance("lease", idempotency_key="k", idempotency_fingerprint="2")
    assert made.id != other.id
    with pytest.raises(IdempotencyConflict):
        await acme.create_instance("lease", idempotency_key="k", idempotency_fingerprint="2")
    assert (await zeta.find_by_idempotency_key("lease", "k")).id == other.id
    await acme.trigger_event(made.id, "sign", idempotency_key="e")
    with pytest.raises(InstanceNotFound):
        await zeta.trigger_event(made.id, "sign", idempotency_key="e")


async def test_a_bound_caller_finds_and_counts_its_own(acme, zeta, service):
    mine = [(await acme.create_instance("lease")).id for _ in range(2)]
    await zeta.create_instance("lease")
    assert {found.id for found in await acme.find_instances()} == set(mine)
    assert await acme.count_instances() == {(): 2}
    assert await service.count_instances(group_by="tenant") == {"acme": 2, "zeta": 1}
    assert {found.id for found in await service.find_instances(tenant="acme")} == set(mine)
    with pytest.raises(InvalidValue, match="bound to 'acme'"):
        await acme.find_instances(tenant="zeta")


async def test_a_bulk_verb_touches_its_own(acme, zeta):
    mine, other = await acme.create_instance("lease"), await zeta.create_instance("lease")
    report = await acme.cancel_instances(workflow="lease")
    assert report.changed == (mine.id,)
    assert (await zeta.get_instance(other.id)).status == "active"


async def test_a_bound_sweep_fires_its_own(acme, zeta, clock):
    mine, other = await acme.create_instance("lease"), await zeta.create_instance("lease")
    clock.advance("1d")
    assert (await acme.process_timeouts()).processed == 1
    assert (await acme.get_instance(mine.id)).state == "lapsed"
    assert (await zeta.get_instance(other.id)).state == "asked"


async def test_a_bound_runtime_binds_every_service_over_it(store, clock):
    async with AsyncExitStack() as stack:
        acme = await stack.enter_async_context(
            WorkflowRuntime(store=store, definitions=[LEASE], clock=clock, tenant="acme")
        )
        everybody = await stack.enter_async_context(WorkflowRuntime(store=store, definitions=[LEASE], clock=clock))
        other = await everybody.create_instance("lease", tenant="zeta")
        made = await acme.create_instance("lease")
        assert (made.tenant, acme.tenant, WorkflowService(acme).tenant) == ("acme", "acme", "acme")
        with pytest.raises(InstanceNotFound):
            await acme.trigger_event(other.id, "sign")
        with pytest.raises(InstanceNotFound):
            await WorkflowService(acme).get_instance(other.id)
        with pytest.raises(InvalidValue):
            WorkflowService(acme, tenant="zeta")
        clock.advance("1d")
        assert (await acme.process_timeouts()).processed == 1
        assert (await everybody.get_instance(other.id)).state == "asked"


async def test_commands_are_told_the_tenant(running):
    seen: list[str] = []

    @command("note")
    def note(ctx):
        seen.append(ctx.tenant)

    runtime = await running(
        {
            "name": "n",
            "initial_state": "a",
            "states": {"a": {"events": {"go": {"target": "b", "commands": ["note"]}}}, "b": {}},
        },
        commands=[note],
    )
    made = await runtime.create_instance("n", tenant="acme")
    await runtime.trigger_event(made.id, "go")
    assert seen == ["acme"]


@pytest.mark.parametrize("tenant", ["", " ", "a\0", "\ud800", "t" * 257, 7])
async def test_a_tenant_that_cannot_be_one_is_refused(service, tenant):
    with pytest.raises(InvalidValue, match="tenant"):
        service.for_tenant(tenant)
    with pytest.raises(InvalidValue, match="tenant"):
        await service.create_instance("lease", tenant=tenant)
