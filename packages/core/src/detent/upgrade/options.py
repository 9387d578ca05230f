"""What callers say of an upgrade, and how it is read."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias, TypedDict
from uuid import UUID

from detent.errors import InvalidValue
from detent.json_values import JsonObject
from detent.problems import did_you_mean
from detent.runtime.arguments import MAX_PAGE, id_of
from detent.runtime.finding_verbs import Names, Where, query_of
from detent.runtime.machines import Machines
from detent.store.records import WorkflowInstance
from detent.upgrade.rules import Rules, TransformContext, checked_mapping, checked_version

MOST = MAX_PAGE
"""How many instances one call looks at by default, and at most."""

InstanceId: TypeAlias = UUID | str | WorkflowInstance
"""An instance, or its id."""


class UpgradeOptions(TypedDict, total=False):
    """Which instances are upgraded, and how."""

    from_version: int | str | None
    """The version they are on; by default any that is older than the target. May be one that is only stored."""
    to_version: int | str | None
    """The version they are moved to, which must be registered here; by default the newest."""
    state_mapping: Mapping[str, str] | None
    """States of the source, and what they are in the target; another state is kept where the target has it."""
    transform_context: TransformContext | None
    """Answers the new context, given a copy of the old one, and the instance; by default the context is kept."""
    states: Names | None
    """Only instances in these states, as the source calls them."""
    exclude_states: Names | None
    ids: Iterable[InstanceId] | None
    """Only these instances; each of them is reported on, whatever is the matter with it."""
    metadata: JsonObject | None
    """Only instances whose labels contain this."""
    include_finished: bool
    """Also those that are completed, failed or cancelled; they stay so, and get no timers."""
    tenant: str | None
    limit: int
    """How many instances to look at; 1 to 1000, and 1000 by default."""
    cursor: str | None
    """Where an earlier report stopped."""


def check_known(options: UpgradeOptions) -> None:
    """Raise `InvalidValue` for an option that there is not."""
    for name in options:
        if name not in UpgradeOptions.__annotations__:
            hint = did_you_mean(name, UpgradeOptions.__annotations__)
            raise InvalidValue(name, "is no option of an upgrade", hint=hint)


def rules_of(options: UpgradeOptions, workflow: str, machines: Machines) -> Rules:
    """The rules that the options amount to. Raises `InvalidValue` and `UnknownWorkflow`."""
    source, target = options.get("from_version"), options.get("to_version")
    version = machines.latest(workflow).version if target is None else checked_version(target, "to_version")
    query = query_of(_conditions(options))
    return Rules(
        machines.version(workflow, version),
        from_version=None if source is None else checked_version(source, "from_version"),
        state_mapping=checked_mapping(options.get("state_mapping")),
        transform_context=options.get("transform_context"),
        states=query.states,
        exclude_states=query.exclude_states,
        metadata=query.metadata,
        include_finished=options.get("include_finished", False),
    )


def ids_in(options: UpgradeOptions) -> Sequence[UUID] | None:
    """The ids that were asked for; `None` when that is every instance. Raises `InvalidValue`."""
    given = options.get("ids")
    if given is None:
        return None
    if isinstance(given, str | UUID | WorkflowInstance) or not isinstance(given, Iterable):
        raise InvalidValue("ids", f"is a {type(given).__name__}", hint="pass a list")
    return [id_of(each, "ids") for each in given]


def _conditions(options: UpgradeOptions) -> Where:
    where: Where = {}
    states, excluded, metadata = options.get("states"), options.get("exclude_states"), options.get("metadata")
    if states is not None:
        where["states"] = states
    if excluded is not None:
        where["exclude_states"] = excluded
    if metadata is not None:
        where["metadata"] = metadata
    return where
