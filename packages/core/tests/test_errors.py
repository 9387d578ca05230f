"""The errors are one tree, drawn where they are declared; each has a code, its data, and a hint where one helps."""

import inspect
import re
from collections.abc import Iterator
from uuid import UUID

import pytest

import detent
from detent import errors
from detent.errors import DetentError
from detent.problems import Problem

ID = UUID("01a1fbe2-94b1-766a-8e79-342cd7a7190e")

SAMPLES: list[DetentError] = [
    errors.DefinitionInvalid("order", [Problem("states", "missing", "there are none")], version="2"),
    errors.DefinitionChanged("order", "1", stored="a" * 64, registered="b" * 64),
    errors.RegistrationInvalid("charge", "cannot be injected", parameter="bank", hint="annotate it"),
    errors.NotStarted(),
    errors.AlreadyStarted(),
    errors.UnknownWorkflow("ordr", ["order"]),
    errors.UnknownVersion("order", "9"),
    errors.InstanceNotFound(ID),
    errors.WorkflowUnavailable("order", ["version 1 has 2 live instances and cannot run"]),
    errors.InvalidValue("context.total", "is NaN", hint="send a number"),
    errors.EventNotAvailable(ID, "new", "payy", ["pay"]),
    errors.EventRefused(ID, "new", "pay", "not yet", 3),
    errors.IncompatibleState(ID, "order", "2", "new"),
    errors.InstancePaused(ID),
    errors.InstanceFinished(ID, "completed"),
    errors.InstanceNotFinished(ID, "active"),
    errors.VersionConflict(ID, expected=2, found=3),
    errors.RunNotFound(ID),
    errors.NothingToRetry(ID),
    errors.InstanceBusy(ID, ID),
    errors.RunNotActive(ID, "completed", hint="begin another one"),
    errors.RunParked(ID, ID, "no money"),
    errors.WaitTimeout(ID, "new", 5.0),
    errors.WaitTimeout(ID, "new", 5.0, "it is paused"),
    errors.RunStuck(ID, "its worker died"),
    errors.LeaseLost(ID),
    errors.CommandTimedOut("charge", 30.0),
    errors.ReentrantTrigger(ID),
    errors.IdempotencyConflict("cart-17"),
    errors.CommandFailed("charge", "pay", "card_declined", "the bank said no"),
    errors.StepCancelled(),
    errors.ChainTooLong(ID, "new", 10),
    errors.GotoNotAllowed("charge", "payy", "is not declared", known=["pay"]),
    errors.AnswerInvalid("charge", object()),
    errors.StoreUnavailable("connection refused"),
    errors.StoreOutdated(1, 2),
    errors.OutcomeUnknown(ID, 7),
    errors.ConnectionNotSupported("PgStore", object(), "an AsyncSession"),
    errors.StepRolledBack("deadlock"),
]
"""One of each that is raised; the others are there to be caught."""

GROUPS = {"DetentError", "NotFound", "Conflict", "StoreError"}

WITHOUT_HINT = {
    "DefinitionInvalid",  # each of its problems has one
    "InstanceNotFound",  # nobody knows what the right id would have been
    "EventRefused",  # the guard's reason says it
    "AnswerInvalid",  # it says what is wanted
    "NothingToRetry",  # nothing is to be done
    "RunNotFound",  # as for instances
    "StepRolledBack",  # the runtime repeats it by itself
}

NOT_KEPT = {
    # What shapes the words only, or is no data but an object of the caller's.
    ("DefinitionInvalid", "part"),
    ("UnknownWorkflow", "known"),
    ("GotoNotAllowed", "known"),
    ("GotoNotAllowed", "reason"),
    ("AnswerInvalid", "answer"),
    ("AnswerInvalid", "kind"),
    ("AnswerInvalid", "expected"),
    ("StoreOutdated", "upgrade"),
    ("ConnectionNotSupported", "connection"),
    ("ConnectionNotSupported", "accepted"),
}

_LINE = re.compile(r"^(?P<stem>[ │├└─]*)(?P<name>[A-Z]\w+)(?:  +(?P<words>.+))?$")


def declared() -> Iterator[type[DetentError]]:
    """The classes of the module, in its order."""
    for value in vars(errors).values():
        if inspect.isclass(value) and issubclass(value, DetentError):
            yield value


def drawn() -> dict[str, str | None]:
    """The names in the tree at the top of the module, each with the one it hangs on."""
    above: list[str] = []
    found: dict[str, str | None] = {}
    for line in (errors.__doc__ or "").splitlines():
        if match := _LINE.match(line.removeprefix("    ")) if line.startswith("    ") else None:
            depth = len(match["stem"]) // 4
            del above[depth:]
            found[match["name"]] = above[-1] if above else None
            above.append(match["name"])
    return found


def name_of(error: DetentError) -> str:
    return type(error).__name__


def test_the_tree_that_is_drawn_is_the_tree_of_the_classes():
    assert drawn() == {
        kind.__name__: None if kind is DetentError else kind.__bases__[0].__name__ for kind in declared()
    }


def test_every_error_has_one_parent_and_a_docstring():
    for kind in declared():
        assert len(kind.__bases__) == 1, kind
        assert kind.__doc__, kind


def test_every_error_has_a_code_of_its_own_made_from_its_name():
    """A rename breaks the machines that read the code, so it has to be done here as well, knowingly."""
    codes = {kind.__name__: vars(kind).get("code") for kind in declared()}
    assert codes == {name: re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower() for name in codes}


def test_there_is_a_sample_of_every_error_that_is_raised():
    assert sorted(set(map(name_of, SAMPLES))) == sorted({kind.__name__ for kind in declared()} - GROUPS)


@pytest.mark.parametrize("error", SAMPLES, ids=name_of)
def test_what_an_error_was_made_of_are_its_attributes(error):
    parameters = set(inspect.signature(type(error)).parameters) - {"hint", "message"}
    kept = {name for name in parameters if (name_of(error), name) not in NOT_KEPT}
    assert kept <= set(vars(error))


def test_what_is_not_kept_is_a_parameter_indeed():
    for name, parameter in NOT_KEPT:
        assert parameter in inspect.signature(getattr(errors, name)).parameters


@pytest.mark.parametrize("error", SAMPLES, ids=name_of)
def test_an_error_says_what_to_do_where_that_helps(error):
    assert (error.hint is None) == (name_of(error) in WITHOUT_HINT)
    assert error.message
    assert str(error) == (f"{error.message} ({error.hint})" if error.hint else error.message)


@pytest.mark.parametrize("error", SAMPLES, ids=name_of)
def test_sequences_in_an_error_are_its_own(error):
    assert not [name for name, value in vars(error).items() if isinstance(value, list | dict | set)]


def test_an_error_that_the_package_exports_is_the_one_of_the_tree():
    exported = {name for name in detent.__all__ if inspect.isclass(getattr(detent, name))}
    for name in exported & {kind.__name__ for kind in declared()}:
        assert getattr(detent, name) is getattr(errors, name)
