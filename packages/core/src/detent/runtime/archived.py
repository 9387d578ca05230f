"""The document that is kept of an archived instance, and how it is read back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from detent.errors import InvalidValue
from detent.json_values import JsonObject
from detent.store.records import ArchiveEntry, HistoryEntry, WorkflowInstance

FORMAT = 1
"""What `format` says in a document; a later shape gets a later number."""

_INSTANCE = TypeAdapter(WorkflowInstance)
_HISTORY = TypeAdapter(tuple[HistoryEntry, ...])


@dataclass(frozen=True, slots=True)
class ArchivedInstance:
    """An instance as it was when it was archived, with all of its history that was kept until then."""

    instance: WorkflowInstance
    history: tuple[HistoryEntry, ...]
    """The oldest entry first."""


def archived_document(instance: WorkflowInstance, history: Sequence[HistoryEntry]) -> JsonObject:
    """The instance and its history, the oldest entry first, as JSON that `read_archived` reads."""
    row = _INSTANCE.dump_python(instance, mode="json")
    del row["created"]
    return {"format": FORMAT, "instance": row, "history": _HISTORY.dump_python(tuple(history), mode="json")}


def read_archived(archived: ArchiveEntry | Mapping[str, Any]) -> ArchivedInstance:
    """What `get_archived` answered, or the `document` of it alone, as values again.

    Raises `InvalidValue` when it was deleted without a document, and for what is no such document.
    """
    document: Any = archived.document if isinstance(archived, ArchiveEntry) else archived
    if document is None:
        raise InvalidValue("document", "was not kept: the instance was deleted and not archived")
    if not isinstance(document, Mapping) or document.get("format") != FORMAT:
        raise InvalidValue("document", f"is not that of an archived instance in format {FORMAT}")
    try:
        return ArchivedInstance(
            _INSTANCE.validate_python(document.get("instance")), _HISTORY.validate_python(document.get("history"))
        )
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in fault["loc"])
        raise InvalidValue("document", f"cannot be read: {place}: {fault['msg']}") from None
