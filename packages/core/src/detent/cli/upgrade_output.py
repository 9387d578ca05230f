"""What `detent upgrade` prints: a line for each instance as it is dealt with, or one JSON document at the end."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any

import rich_click as click

from detent.cli.terminal import one_line
from detent.upgrade.compare import Difference
from detent.upgrade.outcome import DeadlineChange, Failed, Skipped, Upgraded
from detent.upgrade.report import UpgradeReport

_COLOURS = {"upgrade": "green", "skip": "yellow", "fail": "red"}


class Counts:
    """How many instances were dealt with, over all pages."""

    def __init__(self) -> None:
        self.workflow = self.to_version = ""
        self.upgraded = self.skipped = self.failed = 0
        self.cursor: str | None = None

    def add(self, report: UpgradeReport) -> None:
        """Count one more page."""
        self.workflow, self.to_version = report.workflow, report.to_version
        self.upgraded += len(report.upgraded)
        self.skipped += len(report.skipped)
        self.failed += len(report.failed)
        self.cursor = report.cursor

    def summary(self, *, planned: bool) -> str:
        """The numbers in one sentence."""
        number = f"{self.upgraded} instance{'' if self.upgraded == 1 else 's'}"
        verb = "would be upgraded" if planned else "upgraded"
        fail = "would fail" if planned else "failed"
        return f"{self.workflow}: {number} {verb} to version {self.to_version}, {self.skipped} skipped, {self.failed} {fail}"


class Table:
    """Prints each page when it is there."""

    def __init__(self, planned: bool) -> None:
        self.counts = Counts()
        self._planned = planned
        self._compared: set[str] = set()

    def add(self, report: UpgradeReport) -> None:
        """Print one page, and what the versions that are new on it differ in."""
        self.counts.add(report)
        for version, differences in report.differences.items():
            if self._planned and version not in self._compared:
                self._compared.add(version)
                _print_differences(version, report.to_version, differences)
        rows = sorted(_rows(report), key=lambda row: row[0])
        if rows:
            click.echo(click.style(f"{'INSTANCE':<36}  {'':<7}  WHAT", bold=True))
        for instance, what, detail in rows:
            click.echo(f"{instance}  {click.style(f'{what:<7}', fg=_COLOURS[what])}  {one_line(detail)}")

    def end(self) -> None:
        """Print the numbers, and where to go on."""
        if self.counts.workflow:
            click.echo(one_line(self.counts.summary(planned=self._planned)))
        if self.counts.cursor is not None:
            click.echo(f"there are more: --cursor {self.counts.cursor}")


class Document:
    """Collects all pages and prints them as one JSON document."""

    def __init__(self, planned: bool) -> None:
        self.counts = Counts()
        self._planned = planned
        self._lists: dict[str, list[Any]] = {"upgraded": [], "skipped": [], "failed": []}
        self._differences: dict[str, list[Any]] = {}

    def add(self, report: UpgradeReport) -> None:
        """Collect one page."""
        self.counts.add(report)
        self._lists["upgraded"] += [_upgraded(each) for each in report.upgraded]
        self._lists["skipped"] += [_left(each) for each in report.skipped]
        self._lists["failed"] += [_left(each) for each in report.failed]
        self._differences |= {
            version: [asdict(each) for each in differences] for version, differences in report.differences.items()
        }

    def end(self) -> None:
        """Print the document, if there was a page at all."""
        if not self.counts.workflow:
            return
        document = {
            "workflow": self.counts.workflow,
            "to_version": self.counts.to_version,
            "planned": self._planned,
            **self._lists,
            "cursor": self.counts.cursor,
            "differences": self._differences,
        }
        click.echo(json.dumps(document, indent=2))


def _print_differences(source: str, target: str, differences: tuple[Difference, ...]) -> None:
    click.echo(click.style(f"version {source} to {target}", bold=True))
    for difference in differences:
        click.echo(f"  {one_line(str(difference))}")
    if not differences:
        click.echo("  they do the same")


def _rows(report: UpgradeReport) -> Iterator[tuple[str, str, str]]:
    for upgraded in report.upgraded:
        yield str(upgraded.instance_id), "upgrade", "; ".join(_details(upgraded))
    for skipped in report.skipped:
        yield str(skipped.instance_id), "skip", f"{skipped.code}: {skipped.reason}"
    for failed in report.failed:
        yield str(failed.instance_id), "fail", f"{failed.code}: {failed.reason}"


def _details(upgraded: Upgraded) -> Iterator[str]:
    renamed = f" to {upgraded.to_state}" if upgraded.to_state != upgraded.from_state else ""
    yield f"version {upgraded.from_version} to {upgraded.to_version}, state {upgraded.from_state}{renamed}"
    for deadline in upgraded.deadlines:
        if deadline.before != deadline.after:
            yield f"{deadline.event} due {_instant(deadline.after)}, was {_instant(deadline.before)}"
    changed = [f"{key} set" for key in upgraded.context_put] + [f"{key} removed" for key in upgraded.context_removed]
    if changed:
        yield f"context: {', '.join(changed)}"


def _instant(instant: datetime | None) -> str:
    return "never" if instant is None else instant.isoformat(" ", "seconds")


def _upgraded(upgraded: Upgraded) -> dict[str, Any]:
    return {
        "id": str(upgraded.instance_id),
        "from_version": upgraded.from_version,
        "from_state": upgraded.from_state,
        "to_state": upgraded.to_state,
        "context": {"patch": upgraded.context_put, "remove": list(upgraded.context_removed)},
        "deadlines": [_deadline(deadline) for deadline in upgraded.deadlines],
    }


def _deadline(deadline: DeadlineChange) -> dict[str, Any]:
    before, after = deadline.before, deadline.after
    return {
        "event": deadline.event,
        "before": None if before is None else before.isoformat(),
        "after": None if after is None else after.isoformat(),
    }


def _left(left: Skipped | Failed) -> dict[str, Any]:
    return {"id": str(left.instance_id), "code": str(left.code), "reason": left.reason}
