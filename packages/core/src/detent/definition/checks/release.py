"""What can be written and is not available in this release: refused, never half obeyed."""

from collections.abc import Iterator

from detent.definition.walk import each_command
from detent.definition.workflow import Workflow
from detent.problems import Problem

CODE = "not_available_yet"
"""The code of all these problems."""


def no_durable_commands(definition: Workflow) -> Iterator[Problem]:
    """No command runs outside of the transaction."""
    for path, command in each_command(definition):
        if command.durable:
            message = "durable commands are not available in this release"
            hint = "leave `durable` out: the command then runs in the transaction of the transition"
            yield Problem(f"{path}.durable", CODE, message, hint)


def no_retries(definition: Workflow) -> Iterator[Problem]:
    """No command is repeated by itself."""
    for path, command in each_command(definition):
        if command.retry is not None:
            message = "retries belong to durable commands, which are not available in this release"
            hint = "leave `retry` out, and route a failure by `error` to a state whose timeout tries again"
            yield Problem(f"{path}.retry", CODE, message, hint)


def no_compensation(definition: Workflow) -> Iterator[Problem]:
    """No command is undone by another."""
    for path, command in each_command(definition):
        if command.compensate:
            message = "compensation belongs to durable commands, which are not available in this release"
            hint = "leave `compensate` out: what commands of one transition write is rolled back together"
            yield Problem(f"{path}.compensate", CODE, message, hint)
