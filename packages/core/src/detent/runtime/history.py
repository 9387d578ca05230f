"""The words of history: what an error says in an entry."""

from detent.errors import DetentError
from detent.json_values import JsonObject

MAX_TEXT = 2000
"""Error texts are cut to this many characters."""


def cleaned(text: str) -> str:
    """`text` as every store can keep it: no NUL, no lone surrogates, not longer than `MAX_TEXT`."""
    return text[:MAX_TEXT].replace("\0", "�").encode("utf-8", "replace").decode()


def error_facts(error: BaseException, raised_in: str | None) -> JsonObject:
    """`code` and `message` of an error, for a `failed` entry, and `raised_in` where a guard or command raised it."""
    code = error.code if isinstance(error, DetentError) else type(error).__name__
    message = error.message if isinstance(error, DetentError) else str(error)
    facts: JsonObject = {"code": code, "message": cleaned(message)}
    return facts if raised_in is None else {**facts, "raised_in": raised_in}
