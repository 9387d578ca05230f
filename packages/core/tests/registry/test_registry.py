"""Registration: what may be a command, and what is refused before anything runs."""

import functools
from typing import Any

import pytest

from detent import CommandContext, GuardContext, Registry, command, guard
from detent.errors import RegistrationInvalid
from detent.registry import CommandOptions, Source


def sources(registry, name):
    return {parameter.name: parameter.source for parameter in registry.commands[name].signature.parameters}


class Charge:
    """A command class that needs something."""

    def __init__(self, gateway: "Gateway") -> None:
        self.gateway = gateway

    async def __call__(self, ctx: CommandContext) -> None: ...


class Gateway: ...


class Plain:
    def __call__(self, ctx): ...


async def asynchronous(ctx): ...


@pytest.mark.parametrize(
    ("target", "is_async"),
    [
        (lambda ctx: None, False),
        (asynchronous, True),
        (Plain, False),
        (Plain(), False),
        (Charge, True),
        (Charge(Gateway()), True),
        (functools.partial(asynchronous), True),
        (Plain().__call__, False),
    ],
)
def test_functions_classes_instances_and_partials_are_commands(target, is_async):
    registry = Registry()
    registry.command("it", target)
    assert sources(registry, "it") == {"ctx": Source.CONTEXT}
    assert registry.commands["it"].signature.is_async is is_async


def test_a_class_tells_what_it_is_made_from():
    registry = Registry()
    registry.command("charge", Charge)
    assert [(p.name, p.annotation) for p in registry.commands["charge"].constructor] == [("gateway", Gateway)]


def test_marked_callables_and_registries_are_added_with_their_options():
    @command("send", best_effort=True)
    def send(ctx): ...

    @guard("may")
    def may(ctx): ...

    first = Registry()
    first.add([send])
    second = Registry()
    second.add([first, may])
    assert second.commands["send"].options == CommandOptions(best_effort=True)
    assert set(second.guards) == {"may"}


def test_a_name_is_registered_once():
    registry = Registry()
    for register in (registry.command, registry.guard):
        register("send", Plain)
        register("send", Plain)
        with pytest.raises(RegistrationInvalid, match="already registered"):
            register("send", asynchronous)


def test_what_is_not_marked_has_no_name():
    with pytest.raises(RegistrationInvalid, match=r'@command\("name"\)'):
        Registry().add([Plain])


def missing_annotation(ctx, gateway): ...


def unknown_name(ctx, gateway: "Nowhere"): ...  # type: ignore[name-defined]  # noqa: F821


def payload_as_dict(ctx, payload: dict[str, int] | None = None): ...


def wrong_context(ctx: GuardContext): ...


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (missing_annotation, "parameter 'gateway'.*no annotation"),
        (unknown_name, "'Nowhere'"),
        (object(), "has no __call__"),
        (Gateway, "Gateway has no __call__"),
        (payload_as_dict, "parameter 'payload'.*ctx.payload"),
        (wrong_context, "gets a CommandContext here"),
    ],
)
def test_what_cannot_be_called_is_refused_with_its_name_and_parameter(target, said):
    with pytest.raises(RegistrationInvalid, match=f"'bad'.*{said}"):
        Registry().command("bad", target)


def test_parameters_with_defaults_are_optional_and_catch_alls_are_left_alone():
    def call(ctx, retries=3, *args, timeout: float = 2.0, **more): ...

    registry = Registry()
    registry.command("it", call)
    parameters = registry.commands["it"].signature.parameters
    assert [(p.name, p.source, p.optional) for p in parameters] == [
        ("ctx", Source.CONTEXT, False),
        ("timeout", Source.INJECTED, True),
    ]


@pytest.mark.parametrize("name", [None, "", asynchronous])
def test_a_decorator_wants_a_name(name):
    with pytest.raises(RegistrationInvalid, match=r'write @command\("name"\)'):
        command(name)


def test_the_context_is_found_by_its_annotation_wherever_it_stands():
    def call(gateway: Gateway, told: CommandContext): ...

    registry = Registry()
    registry.command("it", call)
    assert sources(registry, "it") == {"gateway": Source.INJECTED, "told": Source.CONTEXT}


@pytest.mark.parametrize("annotation", [None, object, Any])
def test_a_first_parameter_annotated_with_nothing_in_particular_gets_the_context(annotation):
    def call(it): ...

    call.__annotations__ = {"it": annotation} if annotation else {}
    registry = Registry()
    registry.command("it", call)
    assert sources(registry, "it") == {"it": Source.CONTEXT}


def test_a_guard_gets_its_own_context_type():
    def allowed(asked: GuardContext) -> bool:
        return True

    registry = Registry()
    registry.guard("allowed", allowed)
    assert registry.guards["allowed"].signature.parameters[0].source is Source.CONTEXT
