"""Whether a step may be taken over the database alone: not where somebody would have to hear of it."""

from collections.abc import Iterable

import rich_click as click

from detent.cli.operating.connection import NAME_THE_APPLICATION, Connected
from detent.cli.terminal import one_line
from detent.store.records import WorkflowInstance


async def require_hearers(connected: Connected, instances: Iterable[WorkflowInstance]) -> None:
    """Raise `ClickException` where steps of these instances are published and only the application knows to whom.

    Deliveries are written with the step, to the subscribers that its runtime has: without the application there are none.
    """
    if not connected.database_alone:
        return
    service, seen = connected.service(), set[tuple[str, str]]()
    for instance in instances:
        version = instance.workflow, instance.definition_version
        if version not in seen and (await service.definition_of(instance)).publish is not None:
            raise click.ClickException(
                one_line(
                    f"workflow {instance.workflow!r} publishes its steps, and only its application knows to whom "
                    f"({NAME_THE_APPLICATION})"
                )
            )
        seen.add(version)
