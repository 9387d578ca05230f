"""What can be had in a step is known before one runs. A change of dishka's insides shows here."""

from collections.abc import Sequence
from typing import Annotated, Any, Generic, Literal, TypeVar

import pytest
from dishka import (
    STRICT_VALIDATION,
    AsyncContainer,
    FromComponent,
    FromDishka,
    Has,
    Marker,
    Provider,
    Scope,
    make_async_container,
)

from detent import CommandContext
from detent.integrations.dishka import DishkaInjector, WorkflowProvider
from detent.runtime.injection import CannotInject, Transition

T = TypeVar("T")


class Request:
    pass


class Ledger:
    pass


class PaperLedger(Ledger):
    pass


class CurrentUser:
    def __init__(self, request: Request) -> None: ...


class Audit:
    def __init__(self, user: CurrentUser) -> None: ...


class Repository(Generic[T]):
    pass


class Rule:
    pass


BUSY = Marker("busy")
ASKED: Any = FromDishka
"""For types that are known only at run time."""


@pytest.fixture
def app():
    provider = Provider(scope=Scope.REQUEST)
    provider.from_context(Request)
    return provider


def injector(*providers: Any, **options: Any) -> DishkaInjector:
    return DishkaInjector(make_async_container(*providers, WorkflowProvider(), **options))


def refusal(provider: Any, wanted: Any, **options: Any) -> str:
    with pytest.raises(CannotInject) as caught:
        injector(provider, **options).claim(ASKED[wanted])
    return str(caught.value)


@pytest.mark.parametrize("wanted", [Transition, CommandContext, AsyncContainer])
def test_what_a_step_is_opened_with_can_be_had(app, wanted):
    assert injector(app).claim(ASKED[wanted]) == (wanted, "", 0)


@pytest.mark.parametrize("scope", [Scope.APP, Scope.REQUEST, Scope.ACTION])
def test_a_class_is_found_in_every_scope_around_a_command(app, scope):
    app.provide(Ledger, scope=scope)
    assert injector(app).claim(ASKED[Ledger]) == (Ledger, "", 0)


def test_a_class_inside_the_scope_of_commands_is_refused(app):
    app.provide(Ledger, scope=Scope.STEP)
    assert refusal(app, Ledger) == "Ledger: it is provided in STEP, inside ACTION where it is needed"


def test_a_missing_class_is_refused_with_those_related_to_it(app):
    app.provide(PaperLedger)
    assert refusal(app, Ledger) == "Ledger: no provider has it, only PaperLedger"


def test_a_missing_class_is_refused_with_those_named_like_it(app):
    class Legder:
        pass

    app.provide(Ledger)
    assert refusal(app, Legder).endswith("no provider has it, only Ledger")


def test_a_missing_class_without_a_like_is_refused_plainly(app):
    assert refusal(app, Ledger) == "Ledger: no provider has it"


def test_components_are_kept_apart(app):
    other = Provider(scope=Scope.REQUEST, component="other")
    other.provide(Ledger)
    assert refusal(other, Ledger) == (
        "Ledger: it is provided in the component 'other': Annotated[..., FromComponent('other')]"
    )
    assert injector(app, other).claim(Annotated[Ledger, FromComponent("other")]) == (Ledger, "other", 0)


def test_an_object_that_needs_the_web_request_is_refused_with_the_way_there(app):
    app.provide_all(CurrentUser, Audit)
    assert refusal(app, Audit) == (
        "Audit needs CurrentUser needs Request: "
        "it comes from the context of REQUEST, and a step has only its Transition there"
    )


def test_the_context_of_the_application_counts_if_it_is_given():
    provider = Provider(scope=Scope.APP)
    provider.from_context(Request)
    provider.provide(CurrentUser)
    assert injector(provider, context={Request: Request()}).claim(ASKED[CurrentUser])
    assert refusal(provider, CurrentUser) == "CurrentUser needs Request: the context of APP has none"


@pytest.fixture
def busy(app):
    """An application that knows only while it runs whether it is busy."""

    def is_busy(transition: Transition) -> bool:
        return bool(transition.workflow)

    app.activate(is_busy, BUSY)
    return app


@pytest.mark.parametrize(
    "condition",
    [
        Has(Request),
        ~Has(Transition),
        ~~Has(Request),
        Has(Transition) & Has(Request),
        BUSY & Has(Request),
        Has(Request) | ~Has(Transition),
        Has(Audit),
    ],
    ids=repr,
)
def test_a_condition_that_never_holds_in_a_step_is_refused(busy, condition):
    busy.provide(Ledger, when=condition)
    assert refusal(busy, Ledger) == "Ledger: none of its providers is active in a step"


@pytest.mark.parametrize(
    "condition",
    [
        Has(Transition),
        ~Has(Request),
        ~Has(CommandContext),
        Has(Request) | Has(Transition),
        Has(Transition) & ~Has(Request),
        BUSY,
        ~BUSY,
        BUSY & Has(Transition),
        BUSY | Has(Request),
    ],
    ids=repr,
)
def test_a_condition_that_holds_or_may_hold_passes(busy, condition):
    busy.provide(Ledger, when=condition)
    assert injector(busy).claim(ASKED[Ledger])


def test_a_condition_of_the_application_is_known_before_any_step():
    provider = Provider(scope=Scope.APP)
    provider.activate(lambda: False, BUSY)
    provider.provide(Ledger, when=BUSY)
    assert refusal(provider, Ledger) == "Ledger: none of its providers is active in a step"


def test_the_provider_that_will_be_chosen_is_the_one_that_counts(app):
    app.provide(CurrentUser)
    app.provide(lambda: PaperLedger(), provides=Ledger)
    app.provide(_ledger_of, provides=Ledger, when=Has(Transition))
    assert refusal(app, Ledger).startswith("Ledger needs CurrentUser needs Request")


def test_a_provider_that_is_active_only_outside_of_steps_does_not_count(app):
    app.provide(CurrentUser)
    app.provide(lambda: PaperLedger(), provides=Ledger)
    app.provide(_ledger_of, provides=Ledger, when=Has(Request))
    assert injector(app).claim(ASKED[Ledger])


def _ledger_of(user: CurrentUser) -> Ledger:
    raise AssertionError("only its signature is read")


def test_a_decorator_that_is_active_only_outside_of_steps_does_not_count(app):
    def audited(ledger: Ledger, request: Request) -> Ledger:
        raise AssertionError("only its signature is read")

    app.provide(Ledger)
    app.decorate(audited, when=Has(Request))
    assert injector(app).claim(ASKED[Ledger])


def test_a_decorator_that_cannot_be_made_in_a_step_is_refused(app):
    def audited(ledger: Ledger, request: Request) -> Ledger:
        raise AssertionError("only its signature is read")

    app.provide(Ledger)
    app.decorate(audited)
    assert refusal(app, Ledger).startswith("Ledger needs Request")


def test_aliases_generics_and_collections_are_followed(app):
    app.provide(PaperLedger)
    app.alias(PaperLedger, provides=Ledger)
    app.provide(Repository)
    app.provide(Rule)
    app.collect(Rule, provides=Sequence[Rule])
    connected = injector(app)
    assert connected.claim(ASKED[Ledger])
    assert connected.claim(ASKED[Repository[int]])
    assert connected.claim(ASKED[Sequence[Rule]])


def test_constants_need_no_provider(app):
    def named(name: Literal["paper"]) -> Ledger:
        raise AssertionError("only its signature is read")

    app.provide(named)
    assert injector(app).claim(ASKED[Ledger])


def test_a_bare_class_is_claimed_when_a_provider_has_it(app):
    app.provide(Ledger)
    connected = injector(app)
    assert connected.claim(Ledger) == (Ledger, "", 0)
    assert connected.claim(PaperLedger) is None
    assert connected.claim(Annotated[Ledger, "not for us"]) is None
    assert connected.claim("Ledger") is None


def test_a_bare_class_that_a_provider_has_in_the_wrong_place_is_refused(app):
    app.provide(CurrentUser)
    app.provide(Ledger, scope=Scope.STEP)
    connected = injector(app)
    with pytest.raises(CannotInject, match="CurrentUser needs Request"):
        connected.claim(CurrentUser)
    with pytest.raises(CannotInject, match="provided in STEP"):
        connected.claim(Ledger)


def test_nothing_is_made_by_looking(app):
    app.provide(_ledger_of_nobody, provides=Ledger)
    assert injector(app).claim(ASKED[Ledger])


def _ledger_of_nobody() -> Ledger:
    raise AssertionError("made")


async def test_the_container_of_a_request_is_refused():
    async with make_async_container(WorkflowProvider())() as request:
        with pytest.raises(ValueError, match="REQUEST cannot be entered from a container of scope REQUEST"):
            DishkaInjector(request)


async def test_a_session_container_serves_as_well_as_the_application(app):
    app.provide(Ledger, scope=Scope.SESSION)
    async with make_async_container(app, WorkflowProvider())(scope=Scope.SESSION) as session:
        assert DishkaInjector(session).claim(ASKED[Ledger])


def test_our_provider_passes_strict_validation(app):
    app.provide(Ledger)
    assert injector(app, validation_settings=STRICT_VALIDATION).claim(ASKED[Ledger])


def test_without_our_provider_the_injector_still_finds_objects(app):
    app.provide(Ledger)
    assert DishkaInjector(make_async_container(app)).claim(ASKED[Ledger])
