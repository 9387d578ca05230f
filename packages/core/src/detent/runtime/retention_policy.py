"""What an application says about how long instances and their history are kept."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import combinations
from typing import Literal, TypeAlias, get_args

from detent.definition.duration import duration_text
from detent.errors import InvalidValue, UnknownWorkflow
from detent.problems import did_you_mean
from detent.runtime.arguments import check_duration
from detent.runtime.caller import checked_tenant
from detent.runtime.machines import Machines
from detent.store.protocol import Store
from detent.store.records import FINISHED, Status

RetentionAction: TypeAlias = Literal["delete", "archive"]
"""`archive` keeps the whole instance and its history as a document, `delete` only that it was there."""

LONGEST = timedelta(days=36500)
"""What lies further back than this no clock has seen."""


@dataclass(frozen=True, slots=True, init=False)
class RetentionPolicy:
    """How long instances of one workflow are kept after they have finished, and how long history entries are.

    * `after`: how long after its end an instance is removed, such as `90d`; `None` removes none.
    * `action`: `delete`, or `archive`, which keeps a document that `read_archived` reads.
    * `statuses`: only instances that ended so: `completed`, `failed`, `cancelled`; any of these unless they are named.
    * `keep_history`: how old history entries may grow, of live and finished instances alike, except each one's last;
      `None` keeps them for as long as their instance is kept.
    * `tenant`: only instances of this one; `None` means those of every tenant.

    Raises `InvalidValue`.
    """

    workflow: str
    after: timedelta | None
    action: RetentionAction
    statuses: tuple[Status, ...]
    keep_history: timedelta | None
    tenant: str | None

    def __init__(
        self,
        workflow: str,
        *,
        after: timedelta | str | None = None,
        action: RetentionAction = "delete",
        statuses: Iterable[str] | None = None,
        keep_history: timedelta | str | None = None,
        tenant: str | None = None,
    ) -> None:
        if after is None and keep_history is None:
            raise InvalidValue("after", f"is missing: the policy for {workflow!r} would keep everything")
        if after is None and (action != "delete" or statuses is not None):
            raise InvalidValue("after", "is missing: `action` and `statuses` say which instances go after that time")
        checked: dict[str, object] = {
            "workflow": _name(workflow),
            "after": _age(after, "after"),
            "action": _action(action),
            "statuses": _statuses(statuses),
            "keep_history": _age(keep_history, "keep_history"),
            "tenant": None if tenant is None else checked_tenant(tenant),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @property
    def reason(self) -> str:
        """Why instances go by it, for their archive entries."""
        return f"finished for {duration_text(self.after or timedelta(0))} or longer"


def check_together(policies: Sequence[RetentionPolicy]) -> None:
    """Raise `InvalidValue` where two policies speak of the same instances: one of them would never have its way."""
    for one, other in combinations(policies, 2):
        if one.workflow != other.workflow or not _share_tenants(one, other):
            continue
        shared = [status for status in one.statuses if status in other.statuses]
        if one.after is not None and other.after is not None and shared:
            raise _contradiction(one, f"remove instances that are {', '.join(shared)}", "statuses or tenants")
        if one.keep_history is not None and other.keep_history is not None:
            raise _contradiction(one, "say how long history is kept", "tenants")


async def check_known(policies: Sequence[RetentionPolicy], machines: Machines, store: Store) -> None:
    """Raise `UnknownWorkflow` for a policy about a workflow that is neither registered nor stored: a slip of the pen."""
    named = {policy.workflow for policy in policies} - set(machines.workflows)
    stored = {snapshot.workflow for snapshot in await store.list_definitions(named)} if named else set[str]()
    for workflow in sorted(named - stored):
        raise UnknownWorkflow(workflow, machines.workflows)


def _contradiction(policy: RetentionPolicy, said: str, apart: str) -> InvalidValue:
    reason = f"has two policies for workflow {policy.workflow!r} that {said}"
    return InvalidValue("retention", reason, hint=f"let them name different {apart}")


def _share_tenants(one: RetentionPolicy, other: RetentionPolicy) -> bool:
    return one.tenant is None or other.tenant is None or one.tenant == other.tenant


def _name(given: object) -> str:
    if not isinstance(given, str) or not given.strip():
        raise InvalidValue("workflow", "must be the name of a workflow")
    return given


def _age(given: timedelta | str | None, path: str) -> timedelta | None:
    if given is None:
        return None
    age = check_duration(given, path)
    if not timedelta(0) <= age <= LONGEST:
        raise InvalidValue(path, f"must be from 0s to {duration_text(LONGEST)}")
    return age


def _action(given: RetentionAction) -> RetentionAction:
    known = get_args(RetentionAction)
    if given not in known:
        raise InvalidValue("action", f"is {given!r}, which is none of {', '.join(known)}")
    return given


def _statuses(given: Iterable[str] | None) -> tuple[Status, ...]:
    """The statuses in one order. Those of live instances are refused: nothing removes what goes on."""
    ended = sorted(FINISHED)
    if given is None:
        return tuple(ended)
    named = [given] if isinstance(given, str) else list(given)
    for name in named:
        if name not in ended:
            raise InvalidValue(
                "statuses",
                f"holds {name!r}, which is none of {', '.join(ended)}",
                hint=did_you_mean(str(name), ended),
            )
    if not named:
        raise InvalidValue("statuses", "is empty, so that the policy would remove nothing")
    return tuple(status for status in ended if status in named)
