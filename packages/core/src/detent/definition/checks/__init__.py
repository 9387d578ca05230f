"""The rules a definition is checked by. One small function each; `CHECKS` is the table of contents."""

from collections.abc import Callable, Iterator
from typing import TypeAlias

from detent.definition.checks import commands, context, events, forks, names, states, targets, timeouts
from detent.definition.workflow import Workflow
from detent.problems import Problem

Check: TypeAlias = Callable[[Workflow], Iterator[Problem]]
"""A rule: it yields what breaks it."""

CHECKS: tuple[Check, ...] = (
    names.allowed_names,
    names.reserved_names,
    targets.states_exist,
    targets.initial_state_exists,
    targets.entries_lead_to_states,
    targets.targets_exist,
    events.events_do_something,
    events.internal_events_stay,
    events.errors_can_happen,
    events.branches_end_somewhere,
    events.branches_differ,
    events.entries_do_something,
    events.events_can_be_taken,
    forks.branches_begin_apart,
    forks.forks_lead_on,
    forks.failed_branches_lead_somewhere,
    timeouts.timeouts_are_positive,
    timeouts.timeouts_fit_the_calendar,
    timeouts.timeouts_differ,
    timeouts.timeouts_need_no_payload,
    timeouts.interrupting_timeouts_leave,
    context.models_are_schemas,
    context.patches_fit_the_model,
    commands.compensations_can_happen,
    commands.compensations_stand_alone,
    states.initial_state_goes_on,
    states.outcomes_are_of_ends,
    states.states_can_be_reached,
    states.states_can_end,
)
"""Every rule that needs nothing but the definition, in the order problems are listed."""
