"""`detent upgrade`: move live instances to another version of their definition, or say what that would do."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import rich_click as click
from click.exceptions import Exit

from detent.cli.modules import attribute_at
from detent.cli.progress import progress, rows_are_seen
from detent.cli.runtimes import runtime_option, with_runtime
from detent.cli.terminal import one_line, printable
from detent.cli.upgrade_output import Counts, Document, Table
from detent.errors import DetentError
from detent.runtime.runtime import WorkflowRuntime
from detent.service.service import WorkflowService
from detent.upgrade.options import MOST, UpgradeOptions
from detent.upgrade.report import UpgradeReport

Ask: TypeAlias = Callable[[UpgradeOptions], Awaitable[UpgradeReport]]
"""Plans or performs the upgrade of one page of instances."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What both commands take, as click hands it over."""

    workflow: str
    source: str
    from_version: str | None
    to_version: str | None
    state_mapping: dict[str, str]
    transform: str | None
    states: tuple[str, ...]
    exclude_states: tuple[str, ...]
    ids: tuple[str, ...]
    include_finished: bool
    tenant: str | None
    limit: int | None
    cursor: str | None
    as_json: bool

    def options(self) -> UpgradeOptions:
        """The same as the verbs take it."""
        options: UpgradeOptions = {
            "from_version": self.from_version,
            "to_version": self.to_version,
            "state_mapping": self.state_mapping,
            "transform_context": None if self.transform is None else attribute_at(self.transform),
            "states": self.states or None,
            "exclude_states": self.exclude_states or None,
            "ids": self.ids or None,
            "include_finished": self.include_finished,
            "tenant": self.tenant,
            "cursor": self.cursor,
        }
        return options


def _pairs(_context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    mapping: dict[str, str] = {}
    for pair in given:
        old, _, new = pair.partition("=")
        if not old or not new:
            raise click.BadParameter(one_line(f"{pair!r} is not written like old=new"))
        if old in mapping:
            raise click.BadParameter(one_line(f"{old!r} is mapped twice"))
        mapping[old] = new
    return mapping


_ASKED = (
    click.argument("workflow"),
    runtime_option,
    click.option("--from", "from_version", metavar="VERSION", help="Only from this version; else from any older one."),
    click.option("--to", "to_version", metavar="VERSION", help="To this version; else to the newest."),
    click.option(
        "--map",
        "state_mapping",
        multiple=True,
        metavar="OLD=NEW",
        callback=_pairs,
        help="What a state is called in the new version. May be repeated.",
    ),
    click.option(
        "--transform", metavar="MODULE:FUNCTION", help="Answers the new context, given the old and the instance."
    ),
    click.option(
        "--state", "states", multiple=True, metavar="NAME", help="Only instances in this state. May be repeated."
    ),
    click.option(
        "--exclude-state", "exclude_states", multiple=True, metavar="NAME", help="None in this state. May be repeated."
    ),
    click.option("--id", "ids", multiple=True, metavar="ID", help="Only this instance. May be repeated."),
    click.option("--include-finished", is_flag=True, help="Also instances that have ended; they stay so."),
    click.option("--tenant", metavar="NAME", help="Only instances of this tenant."),
    click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Look at no more instances than this."),
    click.option("--cursor", metavar="TEXT", help="Go on where an earlier command stopped."),
    click.option("--json", "as_json", is_flag=True, help="Answer JSON."),
)


def _asking(command: Callable[..., None]) -> Callable[..., None]:
    """With the options that say which instances are meant, and how they are moved."""
    for option in reversed(_ASKED):
        command = option(command)
    return command


@click.group()
def upgrade() -> None:
    """Move live instances to another version of their definition.

    No command runs and no state is entered: an instance gets the new version, its state's new name and its deadlines there.
    """


@upgrade.command()
@_asking
def plan(**given: Any) -> None:
    """Say for each instance of WORKFLOW what an upgrade would do. Nothing is written.

    Exit code 1 when one of them could not be upgraded.
    """
    asked = Asked(**given)
    _exit(with_runtime(asked.source, lambda runtime: _planned(runtime, asked)))


@upgrade.command()
@_asking
@click.option("--reason", metavar="TEXT", help="Why, for history.")
@click.option("--actor", metavar="NAME", help="Who does it, for history.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def apply(reason: str | None, actor: str | None, yes: bool, **given: Any) -> None:
    """Upgrade the instances of WORKFLOW, each in a step of its own.

    Exit code 1 when one of them could not be upgraded.
    """
    asked = Asked(**given)
    said = {"source": "cli"} if actor is None else {"source": "cli", "actor": actor}

    async def work(runtime: WorkflowRuntime) -> Counts:
        return await _applied(WorkflowService(runtime, trigger_metadata=said), asked, reason, confirmed=yes)

    _exit(with_runtime(asked.source, work))


def _exit(counts: Counts) -> None:
    if counts.failed:
        raise Exit(1)


async def _planned(runtime: WorkflowRuntime, asked: Asked) -> Counts:
    service = WorkflowService(runtime)
    return await _told(lambda options: service.plan_upgrade(asked.workflow, **options), asked, planned=True)


async def _applied(service: WorkflowService, asked: Asked, reason: str | None, *, confirmed: bool) -> Counts:
    if not confirmed:
        counts = Counts()
        async for report in _pages(lambda options: service.plan_upgrade(asked.workflow, **options), asked):
            counts.add(report)
        click.echo(one_line(counts.summary(planned=True)), err=True)
        if not counts.upgraded:
            return counts
        click.confirm("Go on?", abort=True, err=True)
    return await _told(
        lambda options: service.upgrade_instances(asked.workflow, reason=reason, **options), asked, planned=False
    )


async def _told(ask: Ask, asked: Asked, *, planned: bool) -> Counts:
    """Deal with all pages and print what became of each instance, also when it ends early."""
    output = Document(planned) if asked.as_json else Table(planned)
    try:
        with progress("plan" if planned else "upgrade", None, quiet=not asked.as_json and rows_are_seen()) as advance:
            async for report in _pages(ask, asked):
                output.add(report)
                advance(len(report.upgraded) + len(report.skipped) + len(report.failed))
    finally:
        output.end()
    return output.counts


async def _pages(ask: Ask, asked: Asked) -> AsyncIterator[UpgradeReport]:
    """One page after another, up to the limit."""
    options, left = asked.options(), asked.limit
    first = True
    while first or (options["cursor"] is not None and left != 0):
        options["limit"] = MOST if left is None else min(left, MOST)
        try:
            report = await ask(options)
        except DetentError as error:
            if first:
                raise
            raise click.ClickException(printable(f"{error}\ngo on with --cursor {options['cursor']}")) from error
        yield report
        first, options["cursor"] = False, report.cursor
        left = None if left is None else left - options["limit"]
