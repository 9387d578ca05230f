"""The words of history: what an error says in an entry, and how one thing that happened is noted."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from detent.errors import DetentError
from detent.json_values import JsonObject, JsonValue
from detent.runtime.context_changes import changes_between
from detent.store.change import Change
from detent.store.records import CommandRecord, HistoryEntry, Outcome, WorkflowInstance

MAX_TEXT = 2000
"""Error texts are cut to this many characters."""


def cleaned(text: str) -> str:
    """`text` as every store can keep it: no NUL, no lone surrogates, not longer than `MAX_TEXT`."""
    return keepable(text[:MAX_TEXT])


def keepable(text: str) -> str:
    """`text` as every store can keep it, of whatever length: no NUL, no lone surrogates."""
    return text.replace("\0", "�").encode("utf-8", "replace").decode()


def error_facts(error: BaseException, raised_in: str | None) -> JsonObject:
    """`code` and `message` of an error, for a `failed` entry, and `raised_in` where a guard or command raised it."""
    code = error.code if isinstance(error, DetentError) else type(error).__name__
    message = error.message if isinstance(error, DetentError) else str(error)
    facts: JsonObject = {"code": code, "message": cleaned(message)}
    return facts if raised_in is None else {**facts, "raised_in": raised_in}


def typed(error: BaseException) -> str:
    """An error in one line, with its type: `KeyError: 'boom'`."""
    text = str(error)
    return cleaned(f"{type(error).__name__}: {text}" if text else type(error).__name__)


def facts_told(facts: JsonObject) -> str:
    """What `error_facts` say, in one line: `KeyError: 'boom'`; the code alone where the message says no more."""
    code, message = str(facts.get("code")), str(facts.get("message") or "")
    return code if message in ("", f"{code}()") else f"{code}: {message}"


def noted(
    before: WorkflowInstance,
    after: WorkflowInstance,
    *,
    event: str,
    now: datetime,
    transition_id: UUID,
    trigger_metadata: JsonObject,
    record_changes: bool,
    outcome: Outcome = Outcome.SUCCESS,
    commands: tuple[CommandRecord, ...] = (),
    reason: str | None = None,
    error: JsonObject | None = None,
    payload: JsonValue = None,
    definition_version: str | None = None,
) -> Change:
    """The change that leads from one record to another by a single entry, which keeps what changed in the context where
    `record_changes` asks for it.
    """
    written = replace(after, version=before.version + 1, updated_at=now, created=False)
    entry = HistoryEntry(
        instance_id=before.id,
        sequence=written.version,
        event=event,
        from_state=before.state,
        to_state=written.state,
        outcome=outcome,
        commands=commands,
        reason=reason,
        error=error,
        payload=payload,
        trigger_metadata=trigger_metadata,
        transition_id=transition_id,
        definition_version=definition_version or written.definition_version,
        created_at=now,
        changes=changes_between(before.context, written.context) if record_changes else None,
    )
    return Change(written, before.version, transition_id, (entry,))
