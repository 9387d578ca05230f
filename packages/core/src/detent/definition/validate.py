"""Everything that is wrong with a definition, in one answer."""

from collections.abc import Collection

from detent.definition.checks import CHECKS
from detent.definition.checks.commands import ends_do_no_work, options_can_matter
from detent.definition.checks.names import unknown_commands, unknown_guards
from detent.definition.checks.states import entries_come_to_rest
from detent.definition.workflow import Workflow
from detent.problems import Problem


def validate(
    definition: Workflow,
    *,
    commands: Collection[str] | None = None,
    guards: Collection[str] | None = None,
    durable: Collection[str] = (),
) -> list[Problem]:
    """All problems of `definition`, errors and warnings together; an empty list is a sound definition.

    Where the names of the registered `commands` or `guards` are given, those the definition uses are looked up among
    them. `durable` names the commands that are registered as durable.
    """
    problems = [problem for check in CHECKS for problem in check(definition)]
    problems += entries_come_to_rest(definition, durable)
    problems += ends_do_no_work(definition, durable)
    problems += options_can_matter(definition, commands, durable)
    if commands is not None:
        problems += unknown_commands(definition, commands)
    if guards is not None:
        problems += unknown_guards(definition, guards)
    return list(dict.fromkeys(problems))
