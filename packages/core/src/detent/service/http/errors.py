"""Errors as answers: errors of ours, and requests that were turned away before they reached anything of ours."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from http import HTTPStatus

from detent.errors import DetentError
from detent.problems import Problem
from detent.service.http.headers import replay_headers
from detent.service.http.meanings import MEMBERS, OURS, Meaning, meaning_of
from detent.service.http.problems import ProblemAnswer, problem
from detent.triggers.errors import InputError

_HTTP_CODES: Mapping[int, str] = {
    400: "invalid_request",
    401: "not_authenticated",
    403: "not_allowed",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "body_too_large",
    415: "json_expected",
    429: "too_many_requests",
}


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """Why a request got no further than the door."""

    status: int
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)
    places: Sequence[tuple[str, str]] = ()
    """Which parameters or fields are invalid, and why."""


class NotTaken(Exception):
    """Raised where a request is turned away; the web packages answer it as they do what their framework turns away."""

    def __init__(self, why: TurnedAway) -> None:
        super().__init__(why.detail)
        self.why = why


def invalid(places: Sequence[tuple[str, str]]) -> TurnedAway:
    """That parameters or fields of a request are invalid: where, and why."""
    return TurnedAway(
        400, "parameters or fields of the request are not taken; `problems` says which and why", places=places
    )


def answer_to_error(error: DetentError, *, replayed: bool = False) -> ProblemAnswer:
    """The answer to a request that ended in `error`; `replayed` where a key was answered with it before.

    Where `meaning_of(error).detail` is set its words are not sent, and belong in the log.
    """
    meaning = meaning_of(error)
    return problem(
        meaning.status,
        code=error.code,
        title=meaning.title,
        # What comes after the first line is a list that `problems` holds already.
        detail=meaning.detail or error.message.partition("\n")[0].removesuffix(":"),
        hint=None if meaning.detail else error.hint,
        data={MEMBERS.get(name, name): _told(getattr(error, name)) for name in meaning.data},
        headers=replay_headers(replayed) | _when_to_repeat(meaning),
    )


def answer_to_turned_away(why: TurnedAway) -> ProblemAnswer:
    """The answer to a request that the framework, a guard or a rule for bodies turned away, in the form of other errors."""
    ours = why.status >= 500
    return problem(
        why.status,
        code="internal_error" if ours else _HTTP_CODES.get(why.status, "http_error"),
        title=_phrase(why.status),
        detail=OURS if ours else why.detail,
        data={"problems": _problems(why.places)} if why.places else None,
        headers=why.headers,
    )


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in set(HTTPStatus) else "Error"


def _problems(places: Iterable[tuple[str, str]]) -> list[dict[str, str | None]]:
    return [{"path": path, "code": "invalid", "message": message, "hint": None} for path, message in places]


def _when_to_repeat(meaning: Meaning) -> dict[str, str]:
    return {} if meaning.retry_after is None else {"Retry-After": str(meaning.retry_after)}


def _told(value: object) -> object:
    if isinstance(value, tuple):
        return [_told(item) for item in value]
    return asdict(value) if isinstance(value, Problem | InputError) else value
