"""What the checks of `doctor` say: a sentence each, and what to do."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from detent.runtime.sentences import span_told
from detent.service.operator_schemas import FindingView
from detent.store.backlog import Backlog
from detent.store.health import Health

SKEW = timedelta(seconds=2)
"""How far clocks may be apart."""
GRACE = timedelta(minutes=1)
"""How long work may wait before it looks as if nobody worked."""


def of_health(health: Health) -> FindingView:
    """Whether the database answers, with its schema."""
    if health.ok:
        version = getattr(health, "schema_version", None)
        schema = "" if version is None else f", schema version {version}"
        return _ok("database", f"answers: {health.detail}{schema}")
    return _error("database", health.detail, "start it, or correct its URL; for another schema: detent db upgrade")


def of_no_connection(reason: str) -> FindingView:
    """That there is no runtime to ask, and why, with what to do about it."""
    return FindingView(check="connection", status="error", detail=reason, fix=None)


def of_clocks(skew: timedelta, newest: timedelta | None) -> FindingView:
    """How far the database's clock is from ours, and how old the newest instance is, which should not be of the future."""
    fix = "let all hosts keep their clocks by NTP: deadlines and leases go by them"
    if abs(skew) > SKEW:
        which = "ahead of" if skew > timedelta(0) else "behind"
        return _attention("clocks", f"the database's clock is {span_told(abs(skew))} {which} the one of this host", fix)
    if newest is not None and newest < -SKEW:
        return _attention("clocks", f"the newest instance was created {span_told(-newest)} in the future", fix)
    return _ok("clocks", f"less than {span_told(SKEW)} apart")


def of_versions(
    problems: Mapping[str, tuple[str, ...]], registered: int, *, database_alone: bool
) -> Iterator[FindingView]:
    """Whether live versions can run in this process."""
    if database_alone:
        yield _ok("versions", "not checked: only an application can say what it can run; name it by --app")
        return
    for workflow, reasons in problems.items():
        fix = "register what is missing, or move the instances: detent upgrade plan " + workflow
        yield from (_error("versions", f"{workflow}: {reason}", fix) for reason in reasons)
    if not problems:
        yield _ok("versions", f"all live instances of {_number(registered, 'workflow')} can run here")


def of_backlog(backlog: Backlog, now: datetime, program: str) -> Iterator[FindingView]:
    """What waits: for operators, for workers, for nobody any more; `program` is what the commands to mend it begin with."""
    yield _counted(
        "parked", backlog.parked, "instance", "waits for an operator", f"{program} parked, then {program} retry ID"
    )
    yield _overdue("timeouts", backlog.due, "timeout", backlog.oldest_due, now, program)
    waiting = sum(backlog.runs.values())
    yield _overdue("runs", waiting, "run", backlog.oldest_run, now, program)
    yield _overdue("deliveries", backlog.outbox, "delivery", backlog.oldest_outbox, now, program)
    yield _counted(
        "dead messages",
        backlog.inbox_dead,
        "message",
        "was given up",
        f"{program} messages list --dead, then {program} messages revive ID",
    )
    yield _counted(
        "dead deliveries",
        backlog.outbox_dead,
        "delivery",
        "was given up",
        f"{program} deliveries list --status dead, then {program} deliveries replay ID",
    )


def _counted(check: str, count: int, noun: str, what: str, fix: str) -> FindingView:
    if not count:
        return _ok(check, "none")
    return _attention(check, f"{_number(count, noun)} {what if count == 1 else _plural_of(what)}", fix)


def _overdue(check: str, count: int, noun: str, oldest: datetime | None, now: datetime, program: str) -> FindingView:
    late = timedelta(0) if oldest is None else now - oldest
    if late <= GRACE:
        return _ok(check, f"{_number(count, noun)} waiting, none for long" if count else "none waiting")
    detail = f"{_number(count, noun)} waiting, the oldest for {span_told(late)}"
    return _attention(check, detail, f"is a worker at work? {program} worker starts one")


def _number(count: int, noun: str) -> str:
    return f"1 {noun}" if count == 1 else f"{count} {noun.removesuffix('y') + 'ie' if noun.endswith('y') else noun}s"


def _plural_of(what: str) -> str:
    return what.replace("waits", "wait").replace("was ", "were ")


def _ok(check: str, detail: str) -> FindingView:
    return FindingView(check=check, status="ok", detail=detail, fix=None)


def _attention(check: str, detail: str, fix: str) -> FindingView:
    return FindingView(check=check, status="attention", detail=detail, fix=fix)


def _error(check: str, detail: str, fix: str) -> FindingView:
    return FindingView(check=check, status="error", detail=detail, fix=fix)
