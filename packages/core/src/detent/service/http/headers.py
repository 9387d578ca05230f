"""What headers say: under which key and at which version a request wants its step, and what an answer tells of both."""

import hashlib
import json
import re

from detent.errors import InvalidValue
from detent.json_values import JsonValue, json_value
from detent.store.records import WorkflowInstance

KEY = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
IF_MATCH = "If-Match"
LAST_EVENT_ID = "Last-Event-ID"
ANY_VERSION = "*"
MAX_KEY = 256
"""How many characters a key may have in its header."""

KEY_OF_CREATION = "Under the same key, a workflow creates one instance: the same request again finds it and gets a 200."
KEY_OF_EVENT = (
    "Under the same key, an instance takes an event once: asked again it gets the same answer, and nothing runs."
)
VERSION_SEEN = (
    'The version the client has seen, as the ETag spells it: `"5"`. At any other one nothing happens. '
    "`*` takes every version."
)

TOLD = {
    "ETag": "The version of the instance, for `If-Match`.",
    "Location": "Where the instance is.",
    REPLAYED: "`true` where the key was answered before and nothing ran.",
}
"""What the headers of answers mean, for OpenAPI."""

# Intermediaries that compress mark an ETag as weak; the version in it is as exact as before.
_VERSION = re.compile(r'(?:W/)?"([1-9][0-9]{0,9})"|([1-9][0-9]{0,9})')


def key_in(header: str | None) -> str | None:
    """The key in the header, which is UTF-8. Raises `InvalidValue`."""
    if header is None:
        return None
    try:
        # Servers hand over each byte as one character.
        return header.encode("latin-1").decode()
    except UnicodeError:
        raise InvalidValue(KEY, "is not valid UTF-8") from None


def fingerprint(**asked: JsonValue) -> str:
    """What identifies a request under its key: the same key with something else asked for is another request.

    Trigger metadata is no part of it: what it tells, such as the id of a request, may differ from one attempt to the next.
    """
    # Checked first: what is no JSON for us may be too deep or too large to be written.
    checked = {name: json_value(value, name) for name, value in asked.items()}
    return hashlib.sha256(json.dumps(checked, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def expected_version(if_match: str | None, in_body: int | None) -> int | None:
    """The version the client has seen, said by the header, the body, or both. Raises `InvalidValue`."""
    if if_match is None or if_match.strip() == ANY_VERSION:
        return in_body
    found = _VERSION.fullmatch(if_match.strip())
    if found is None:
        raise InvalidValue(IF_MATCH, "names no version", hint='send the ETag of the instance, such as "5", or *')
    version = int(found[1] or found[2])
    if in_body not in (None, version):
        raise InvalidValue(IF_MATCH, f"names version {version}, and expected_version is {in_body}")
    return version


def answer_headers(instance: WorkflowInstance, *, replayed: bool = False) -> dict[str, str]:
    """What the answer tells of the instance in it, and of whether it was given before."""
    return {"ETag": f'"{instance.version}"'} | replay_headers(replayed)


def replay_headers(replayed: bool) -> dict[str, str]:
    """What the answer, to an error too, tells of whether it was given before."""
    return {REPLAYED: "true"} if replayed else {}
