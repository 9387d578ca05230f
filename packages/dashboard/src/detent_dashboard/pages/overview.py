"""The first page: how many instances are where, and what waits for somebody."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from starlette.responses import Response

from detent.store.records import FINISHED, Status
from detent_dashboard.visit import Visit

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
OURS = "detent."


@dataclass(frozen=True, slots=True)
class StateCount:
    """How many instances of a workflow are in one state."""

    state: str
    by_status: Mapping[str, int]

    @property
    def total(self) -> int:
        """In any status."""
        return sum(self.by_status.values())


@dataclass(frozen=True, slots=True)
class Throughput:
    """What went through one workflow lately."""

    moved: int
    """Instances to which anything happened in the last hour."""
    made: int
    """In the last day, as are those below."""
    finished: int
    """In whatever way."""
    failed: int


@dataclass(frozen=True, slots=True)
class WorkflowCount:
    """One workflow at a glance."""

    name: str
    states: Sequence[StateCount]
    due: int
    """Active ones whose timeout should have fired."""
    parked: int
    throughput: Throughput
    unavailable: tuple[str, ...]
    """Why it cannot run in this process; empty when it can."""

    def of(self, status: str) -> int:
        """How many are in a status."""
        return sum(state.by_status.get(status, 0) for state in self.states)


async def overview(visit: Visit) -> Response:
    """`GET /`. Six counts, however many workflows there are."""
    await visit.require("read")
    now, workflows = visit.now, visit.workflows
    counted = await workflows.count_instances(group_by=("workflow", "state", "status"))
    due = await workflows.count_instances(group_by="workflow", due=(None, now), status="active")
    parked = await workflows.count_instances(group_by="workflow", parked=True)
    moved = await workflows.count_instances(group_by="workflow", updated=(now - HOUR, None))
    made = await workflows.count_instances(group_by="workflow", created=(now - DAY, None))
    ended = await workflows.count_instances(group_by=("workflow", "status"), finished=(now - DAY, None))
    # What is kept as workflows for Detent itself, such as triggers, comes last.
    names = sorted(
        {*workflows.workflows, *(name for name, _, _ in counted)}, key=lambda name: (name.startswith(OURS), name)
    )
    rows = [
        WorkflowCount(
            name,
            _states(name, counted),
            due.get(name, 0),
            parked.get(name, 0),
            Throughput(
                moved.get(name, 0),
                made.get(name, 0),
                sum(ended.get((name, status), 0) for status in FINISHED),
                ended.get((name, Status.FAILED), 0),
            ),
            tuple(workflows.unavailable.get(name, ())),
        )
        for name in names
    ]
    return visit.page("overview.html", rows=rows, statuses=[status.value for status in Status])


def _states(workflow: str, counted: Mapping[tuple[str, str, str], int]) -> Sequence[StateCount]:
    found: dict[str, dict[str, int]] = {}
    for (name, state, status), count in counted.items():
        if name == workflow:
            found.setdefault(state, {})[str(status)] = count
    return [StateCount(state, by_status) for state, by_status in sorted(found.items())]
