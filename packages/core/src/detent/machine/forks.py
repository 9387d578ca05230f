"""Forks: what a state that begins branches does on entry, and what it takes when they have ended.

A fork is lowered to what a machine knows already: a command at the end of the entry starts a child in the first state of each
branch, and the event `$joined`, which the last child to end sends, takes what they ended with.
"""

from collections.abc import Mapping

from detent.definition.commands import CommandRef
from detent.definition.event import Event
from detent.definition.model import WorkflowDefinition
from detent.definition.state import OnEnter, State
from detent.errors import InvalidValue
from detent.registry.context import CommandContext
from detent.registry.registry import CommandSpec, Registry
from detent.registry.results import Fail

FORK, JOIN = "$fork", "$join"
JOINED = "$joined"
"""The event by which the end of its branches comes to a state that has forked."""
BRANCH = "branch"
"""The label by which a child says which branch it is: the name of its first state."""


def with_forks_lowered(definition: WorkflowDefinition) -> WorkflowDefinition:
    """The definition as a machine runs it; the same object where nothing forks."""
    forking = {
        name: _lowered(state, state.on_enter)
        for name, state in definition.states.items()
        if state.on_enter and state.fork
    }
    return definition.model_copy(update={"states": {**definition.states, **forking}}) if forking else definition


def _lowered(state: State, entry: OnEnter) -> State:
    begin = CommandRef(FORK, metadata={"branches": list(entry.fork)}, durable=False)
    alone = entry.target is None and entry.error is None
    joined = Event(target=entry.target, error=entry.error, commands=[CommandRef(JOIN, durable=False)], internal=alone)
    changed = {"target": None, "commands": (*entry.commands, begin), "fork": ()}
    return state.model_copy(
        update={"on_enter": entry.model_copy(update=changed), "events": {**state.events, JOINED: joined}}
    )


async def start_branches(ctx: CommandContext) -> None:
    """Starts a child in each branch's first state, with a copy of the context but for what such branches brought before."""
    branches = ctx.command_metadata["branches"]
    context = {key: value for key, value in ctx.context.items() if key not in branches}
    if ctx.children is None:
        raise InvalidValue("ctx", "cannot start branches outside of a runtime")
    for branch in branches:
        await ctx.children.start(
            ctx.workflow,
            context=context,
            metadata={**ctx.metadata, BRANCH: branch},
            on_end=JOINED,
            wait_for="all",
            group=ctx.from_state,
            key=branch,
            state=branch,
        )


def join_branches(ctx: CommandContext) -> Fail | None:
    """Puts what each branch ended with into the context; fails where one did not end well."""
    children = ctx.payload["children"]
    for child in children:
        ctx.context[child["metadata"][BRANCH]] = child["context"]
    failed = [child for child in children if child["status"] != "completed"]
    if not failed:
        return None
    told = ", ".join(f"{child['metadata'][BRANCH]!r} {child['status']} in {child['state']!r}" for child in failed)
    return Fail("branch_failed", f"not every branch ended well: {told}")


def _own_commands() -> Mapping[str, CommandSpec]:
    own = Registry()
    own.command(FORK, start_branches)
    own.command(JOIN, join_branches)
    return own.commands


OWN_COMMANDS = _own_commands()
"""The commands that every machine has beside those that are registered."""
