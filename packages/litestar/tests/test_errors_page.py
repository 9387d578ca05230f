"""The page on errors names every error as it is, with the code and the status that it has."""

import re
from pathlib import Path

from detent import errors
from detent.errors import DetentError
from detent_litestar.errors import MEANINGS

PAGE = Path(__file__).parents[3] / "docs" / "errors.md"
_ROW = re.compile(r"^\| `(\w+)` \| `(\w+)` \| (\d{3}) \| (.+) \| (.+) \|$", re.MULTILINE)
_BRANCH = re.compile(r"^[ │├└─]*[A-Z]\w+", re.MULTILINE)


def declared() -> list[type[DetentError]]:
    return [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, DetentError)]


def status_of(kind: type[DetentError]) -> int:
    return next(MEANINGS[known].status for known in kind.__mro__ if known in MEANINGS)


def tree_in(text: str) -> list[str]:
    return _BRANCH.findall(text)


def test_every_error_is_on_the_page_with_its_code_and_its_status():
    rows = [(name, code, int(status)) for name, code, status, _, _ in _ROW.findall(PAGE.read_text("utf-8"))]
    assert rows == [(name, kind.code, status_of(kind)) for name, kind in in_the_order_of_the_tree()]


def in_the_order_of_the_tree() -> list[tuple[str, type[DetentError]]]:
    by_name = {kind.__name__: kind for kind in declared()}
    drawn = [branch.lstrip(" │├└─") for branch in tree_in(drawing())]
    assert sorted(drawn) == sorted(by_name)
    return [(name, by_name[name]) for name in drawn]


def drawing() -> str:
    """The tree at the top of the module."""
    lines = [line.removeprefix("    ") for line in (errors.__doc__ or "").splitlines() if line.startswith("    ")]
    return "\n".join(lines)


def test_the_tree_on_the_page_is_the_one_in_the_module():
    shown = re.findall(r"```text\n(DetentError\n.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert [tree_in(tree) for tree in shown] == [tree_in(drawing())]


def test_what_is_said_to_be_repeatable_is_what_the_server_says_so_of():
    """Over HTTP `Retry-After` says it."""
    text = PAGE.read_text("utf-8")
    said = re.search(r"`Retry-After` stands .*?: on (.+)\.", text)
    assert said
    told = {kind.code for kind, meaning in MEANINGS.items() if meaning.retry_after}
    assert set(re.findall(r"`(\w+)`", said[1])) == told - {"step_rolled_back"}, "which no caller sees"
