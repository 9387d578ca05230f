"""The words of history: what an error says in an entry."""

from detent.errors import DetentError
from detent.json_values import JsonObject

MAX_TEXT = 2000
"""Error texts are cut to this many characters."""


def cleaned(text: str) -> str:
    """`text` as every store can keep it: no NUL, no lone surrogates, not longer than `MAX_TEXT`."""
    return text[:MAX_TEXT].replace("\0", "�").encode("utf-8", "replace").decode()


def error_facts(error: BaseException) -> JsonObject:
    """`code` and `message` of an error, for a `failed` entry."""
    if isinstance(error, DetentError):
        return {"code": error.code, "message": cleaned(error.message)}
    return {"code": type(error).__name__, "message": cleaned(str(error))}
