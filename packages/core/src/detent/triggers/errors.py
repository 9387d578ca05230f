"""Errors of triggers. Each carries its data, a stable code and a hint."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from detent.errors import Conflict, DetentError, NotFound, WorkflowUnavailable
from detent.problems import Problem, render


@dataclass(frozen=True, slots=True)
class InputError:
    """What is wrong with one place of a call's body."""

    path: str
    """Dotted from the root: `items[0].price`; empty for the whole."""
    message: str
    keyword: str
    """Of the JSON Schema, such as `required` or `type`; `json` where the body is none, `idempotency` where a key is missing,
    `$ref` where the schema cannot be followed.
    """


class TriggerInvalid(DetentError):
    """A trigger cannot be used as it was written; `problems` says why, all of it."""

    code = "trigger_invalid"

    def __init__(self, name: str, problems: Iterable[Problem]) -> None:
        self.name = name
        self.problems = tuple(problems)
        count = f"{len(self.problems)} problem" + ("" if len(self.problems) == 1 else "s")
        super().__init__(f"trigger {name!r} has {count}:\n{render(self.problems)}")


class UnknownTrigger(NotFound):
    """No trigger has this id or name, or it is another tenant's."""

    code = "unknown_trigger"

    def __init__(self, trigger: str) -> None:
        super().__init__(f"there is no trigger {trigger!r}")
        self.trigger = trigger


class TriggerDisabled(Conflict):
    """The trigger is disabled or deleted, and starts nothing."""

    code = "trigger_disabled"

    def __init__(self, name: str, trigger_id: UUID, state: str) -> None:
        super().__init__(f"trigger {name!r} is {state}", hint="enable it first" if state == "disabled" else None)
        self.name = name
        self.trigger_id = trigger_id


class InputRefused(DetentError):
    """What was to start a flow is not what the trigger takes; `errors` says where and why."""

    code = "trigger_input_refused"

    def __init__(self, name: str, errors: Sequence[InputError]) -> None:
        listed = "; ".join(f"{error.path}: {error.message}" if error.path else error.message for error in errors)
        super().__init__(f"trigger {name!r} does not take this: {listed}")
        self.name = name
        self.errors = tuple(errors)


class SecretMissing(DetentError):
    """A trigger verifies signatures by a secret that this process was not given, or not in a form that its scheme can use."""

    code = "trigger_secret_missing"

    def __init__(self, name: str, secret: str, reason: str = "it was not given") -> None:
        super().__init__(
            f"trigger {name!r} needs the secret {secret!r}: {reason}",
            hint=f"TriggerService(..., secrets={{{secret!r}: ...}})",
        )
        self.name = name
        self.secret = secret


class TriggerUnavailable(WorkflowUnavailable):
    """A trigger cannot start its flow in this process: its timer is tried again, here or elsewhere, and never given up."""

    code = "trigger_unavailable"

    def __init__(self, name: str, flow: str, reason: str, *, hint: str) -> None:
        DetentError.__init__(self, f"trigger {name!r} cannot start {flow!r}: {reason}", hint=hint)
        self.workflow = flow
        self.problems = (reason,)
        self.name = name
