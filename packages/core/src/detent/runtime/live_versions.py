"""Whether all that is under way can run here: asked when a runtime is entered, and again by `check_versions`."""

import logging
from collections.abc import Mapping, Sequence

from detent.definition.version import version_key
from detent.errors import DefinitionInvalid, DetentError, WorkflowUnavailable
from detent.machine.machine import Machine
from detent.problems import Problem
from detent.runtime.machines import Machines
from detent.runtime.parts import Unresolvable
from detent.store.protocol import Store
from detent.store.query import InstanceQuery
from detent.store.records import LIVE, DefinitionSnapshot

logger = logging.getLogger("detent.runtime")

_LIVE = tuple(sorted(LIVE))


async def check_at_start(store: Store, machines: Machines, unresolvable: Unresolvable) -> None:
    """Withdraw what cannot run, or as the setting says log it, or raise `WorkflowUnavailable`."""
    found = await live_problems(store, machines)
    if unresolvable == "raise" and found:
        for workflow, problems in found.items():
            logger.error("workflow %r cannot run here: %s", workflow, "; ".join(problems))
        raise WorkflowUnavailable(*next(iter(found.items())))
    settle(machines, found, unresolvable)


async def live_problems(store: Store, machines: Machines) -> Mapping[str, tuple[str, ...]]:
    """What keeps live instances from running here, one sentence for each version, by workflow; of every tenant.

    Stored versions that can run and have live instances are compiled on the way. A workflow without problems is not there.
    """
    stored = await store.list_definitions(machines.workflows)
    found = {
        workflow: await _problems_of(store, machines, workflow, [one for one in stored if one.workflow == workflow])
        for workflow in machines.workflows
    }
    return {workflow: problems for workflow, problems in found.items() if problems}


def settle(machines: Machines, found: Mapping[str, tuple[str, ...]], unresolvable: Unresolvable) -> None:
    """Withdraw the workflows with problems, unless they shall only be warned of, or parked, and restore those without."""
    for workflow, problems in found.items():
        if unresolvable in ("warn", "park"):
            logger.warning("live instances of workflow %r cannot run here: %s", workflow, "; ".join(problems))
        elif machines.unavailable.get(workflow) != problems:
            logger.error("workflow %r is withdrawn, it cannot run here: %s", workflow, "; ".join(problems))
            machines.withdraw(workflow, problems)
    for workflow in machines.unavailable.keys() - found.keys():
        logger.info("workflow %r can run here again", workflow)
        machines.restore(workflow)


def why_not(error: Exception) -> str:
    """What keeps a version from running, in one line."""
    if isinstance(error, DefinitionInvalid):
        return ", ".join(dict.fromkeys(_told(problem) for problem in error.problems if problem.severity == "error"))
    return error.message if isinstance(error, DetentError) else f"{type(error).__name__}: {error}"


async def _problems_of(
    store: Store, machines: Machines, workflow: str, stored: Sequence[DefinitionSnapshot]
) -> tuple[str, ...]:
    latest = machines.latest(workflow)
    if latest.definition.version_policy == "latest":
        return await _states_missing(store, latest, stored)
    return await _versions_that_cannot_run(store, machines, workflow, stored)


async def _states_missing(store: Store, latest: Machine, stored: Sequence[DefinitionSnapshot]) -> tuple[str, ...]:
    if all(snapshot.version == latest.version for snapshot in stored):
        return ()
    query = InstanceQuery(workflows=(latest.workflow,), statuses=_LIVE, exclude_states=tuple(latest.definition.states))
    counted = await store.count(query, group_by=("definition_version", "state"))
    return tuple(
        f"version {version} has {_instances(count)} in state {state!r}, which version {latest.version} does not have"
        for (version, state), count in sorted(counted.items(), key=lambda group: (version_key(group[0][0]), group))
    )


async def _versions_that_cannot_run(
    store: Store, machines: Machines, workflow: str, stored: Sequence[DefinitionSnapshot]
) -> tuple[str, ...]:
    unknown = [snapshot for snapshot in stored if not machines.is_compiled(workflow, snapshot.version)]
    if not unknown:
        return ()
    query = InstanceQuery(workflows=(workflow,), versions=tuple(one.version for one in unknown), statuses=_LIVE)
    live = await store.count(query, group_by=("definition_version",))
    problems = []
    for snapshot in sorted(unknown, key=lambda one: version_key(one.version)):
        count = live.get((snapshot.version,), 0)
        fault = _fault(machines, snapshot) if count else None
        if fault is not None:
            problems.append(f"version {snapshot.version} has {_instances(count)} and cannot run: {fault}")
    return tuple(problems)


def _fault(machines: Machines, snapshot: DefinitionSnapshot) -> str | None:
    try:
        machines.load(snapshot)
    except Exception as error:
        # Whatever is wrong with one stored version must stop that workflow alone.
        return why_not(error)
    return None


def _told(problem: Problem) -> str:
    # The message names what is not registered; where else in the definition it stands is of no use here.
    known = problem.code in ("unknown_command", "unknown_guard") or not problem.path
    return problem.message if known else f"{problem.path}: {problem.message}"


def _instances(count: int) -> str:
    return f"{count} live instance" + ("" if count == 1 else "s")
