"""Modules: what each brings, what they come to together, and what is refused."""

import pytest
from dishka import FromDishka, Has, Provider, Scope, make_async_container, provide

from detent import CommandContext, GuardContext, MemoryStore, WorkflowDefinition, WorkflowObserver, command, guard
from detent.errors import RegistrationInvalid
from detent.flows import Flow, FlowBook, Step, handler, success
from detent.integrations.dishka import WorkflowProvider
from detent.integrations.hosting import RuntimeConfig, container_for, running
from detent.integrations.modules import WorkflowModule, providers_of
from detent.runtime.injection import Transition
from detent.runtime.subscribers import subscriber


def workflow(name: str, command: str = "charge") -> WorkflowDefinition:
    event = {"target": "done", "commands": [command]}
    return WorkflowDefinition.from_dict(
        {"name": name, "initial_state": "new", "states": {"new": {"events": {"go": event}}, "done": {}}}
    )


class Bank:
    """What a module provides."""

    def __init__(self) -> None:
        self.charged: list[str] = []


@command("charge")
class Charge:
    def __init__(self, bank: Bank) -> None:
        self.bank = bank

    async def __call__(self, ctx: CommandContext) -> None:
        self.bank.charged.append(ctx.workflow)


@command("charge")
async def charge_otherwise(ctx: CommandContext) -> None: ...


@command("send")
async def send(ctx: CommandContext) -> None: ...


@guard("solvent")
def solvent(ctx: GuardContext) -> bool:
    return True


@subscriber("order.*", name="mail")
async def mail(delivery): ...


@subscriber("order.*", name="mail")
async def mail_otherwise(delivery): ...


def banking() -> Provider:
    provider = Provider(scope=Scope.APP)
    provider.provide(Bank)
    return provider


def config(*modules: WorkflowModule, **options) -> RuntimeConfig:
    return RuntimeConfig(store=MemoryStore(), modules=modules, **options)


def refusal(*modules: WorkflowModule, **options) -> RegistrationInvalid:
    with pytest.raises(RegistrationInvalid) as refused:
        config(*modules, **options).gathered()
    assert refused.value.hint
    return refused.value


async def test_a_module_brings_workflows_commands_and_the_objects_they_need():
    billing = WorkflowModule("billing", definitions=[workflow("invoice")], commands=[Charge], providers=[banking()])
    shipping = WorkflowModule("shipping", definitions=[workflow("parcel", "send")], commands=[send], imports=[billing])
    said = config(shipping).gathered()
    async with container_for(said, None) as container, running(said, container) as runtime:
        made = await runtime.create_instance("invoice")
        await runtime.trigger_event(made.id, "go")
        assert sorted(runtime.workflows) == ["invoice", "parcel"]
        assert (await container.get(Bank)).charged == ["invoice"]


def test_what_modules_bring_stands_beside_what_the_application_lists():
    observer = WorkflowObserver()
    billing = WorkflowModule("billing", guards=[solvent], observers=[observer], subscribers=[mail])
    said = config(billing, definitions=[workflow("order")], commands=[send]).gathered()
    assert [definition.name for definition in said.definitions] == ["order"]
    assert (said.commands, said.guards, said.observers, said.subscribers) == ([send], [solvent], [observer], [mail])


def test_a_module_that_several_import_counts_once():
    observer, provider = WorkflowObserver(), banking()
    common = WorkflowModule("common", observers=[observer], providers=[provider], commands=[send])
    modules = [WorkflowModule(name, imports=[common]) for name in ("billing", "shipping")]
    said = config(*modules, common).gathered()
    assert (said.observers, said.providers, said.commands) == ([observer], [provider], [send])
    assert providers_of(*modules) == [provider]


def test_an_object_that_several_modules_bring_counts_once():
    order = workflow("order", "send")
    modules = [WorkflowModule(name, definitions=[order], commands=[send]) for name in ("billing", "shipping")]
    said = config(*modules).gathered()
    assert (said.definitions, said.commands) == ([order], [send])


@pytest.mark.parametrize(
    ("first", "second", "name", "kind"),
    [
        ({"definitions": [workflow("order")]}, {"definitions": [workflow("order")]}, "order v1", "definitions"),
        ({"commands": [Charge]}, {"commands": [charge_otherwise]}, "charge", "commands"),
        ({"guards": [solvent]}, {"guards": [guard("solvent")(lambda ctx: True)]}, "solvent", "guards"),
        ({"subscribers": [mail]}, {"subscribers": [mail_otherwise]}, "mail", "subscribers"),
    ],
)
def test_two_that_bring_different_things_of_one_name_are_both_told(first, second, name, kind):
    refused = refusal(WorkflowModule("billing", **first), WorkflowModule("shipping", **second))
    assert refused.name == name
    assert refused.reason == f"module 'billing' and module 'shipping' bring different {kind} of this name"
    assert refused.code == "registration_invalid"


def test_the_application_itself_is_told_where_a_module_differs_from_it():
    refused = refusal(WorkflowModule("billing", commands=[Charge]), commands=[charge_otherwise])
    assert refused.reason.startswith("module 'billing' and RuntimeConfig bring")


def test_two_modules_of_one_name_are_told_with_who_imports_them():
    shop = WorkflowModule("shop", imports=[WorkflowModule("billing")])
    refused = refusal(shop, WorkflowModule("billing"))
    assert refused.name == "billing"
    assert refused.reason == "module 'shop' and RuntimeConfig import different modules of this name"


def test_what_is_no_command_is_told_with_its_module():
    refused = refusal(WorkflowModule("billing", commands=[Bank]))
    assert refused.reason.endswith("in module 'billing'")


def book() -> FlowBook:
    @handler("greet", targets=False)
    async def greet(ctx, input):
        return success(f"Hello, {input}!")

    return FlowBook(
        flows=[Flow("welcome", initial_step_id="greet", steps={"greet": Step("greet", input={"key": "name"})})],
        handlers=[greet],
    )


def test_the_flows_of_a_module_are_those_of_the_runtime_and_one_book_holds_them():
    flows = book()
    said = config(WorkflowModule("a", flows=flows), WorkflowModule("b", flows=flows)).gathered()
    assert said.flows is flows
    assert [definition.name for definition in said.every_definition] == ["welcome"]
    assert "one runtime has one book" in str(
        refusal(WorkflowModule("a", flows=flows), WorkflowModule("b", flows=book())).hint
    )


async def test_a_container_of_the_applications_own_is_made_with_what_the_modules_provide():
    billing = WorkflowModule("billing", definitions=[workflow("invoice")], commands=[Charge], providers=[banking()])
    container = make_async_container(*providers_of(billing), WorkflowProvider(Charge))
    said = config(billing, container=container).gathered()
    async with container_for(said, None) as used, running(said, used) as runtime:
        made = await runtime.create_instance("invoice")
        assert (await runtime.trigger_event(made.id, "go")).to_state == "done"
    assert used is container
    await container.close()


class Session:
    def __init__(self, of: str) -> None:
        self.of = of


class OfSteps(WorkflowProvider):
    """What the provider of a store does: in a step, the session is the step's."""

    @provide(scope=Scope.REQUEST, when=Has(Transition))
    def session(self, transition: Transition) -> Session:
        return Session("step")


class Sessions(Provider):
    @provide(scope=Scope.REQUEST)
    def session(self) -> Session:
        return Session("application")


async def test_our_provider_comes_last_whichever_module_brings_it():
    @command("charge")
    async def charge(ctx: CommandContext, session: FromDishka[Session]) -> None:
        ctx.context["session of"] = session.of

    modules = [WorkflowModule("a", providers=[OfSteps()]), WorkflowModule("b", providers=[Sessions()])]
    said = config(*modules, definitions=[workflow("order")], commands=[charge]).gathered()
    async with container_for(said, None) as container, running(said, container) as runtime:
        made = await runtime.create_instance("order")
        assert (await runtime.trigger_event(made.id, "go")).instance.context == {"session of": "step"}


def test_modules_need_a_store_as_definitions_do():
    assert "pass `store`" in str(RuntimeConfig(modules=[WorkflowModule("billing")]).fault)
    assert "pass `store`" in str(RuntimeConfig(discover="shop").fault)


def test_two_modules_of_one_name_in_one_list_are_told_so():
    refused = refusal(WorkflowModule("billing"), WorkflowModule("billing"))
    assert refused.reason == "RuntimeConfig imports different modules of this name"
