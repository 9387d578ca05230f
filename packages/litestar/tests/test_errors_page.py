"""The page on errors names every error as it is, with the code and the status that it has."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import detent
import detent_handlers
import detent_pg
import detent_redis
from detent import errors
from detent.errors import DetentError, StepRolledBack
from detent.service.http.meanings import MEANINGS

PAGE = Path(__file__).parents[3] / "docs" / "errors.md"
_ROW = re.compile(r"^\| `(\w+)` \| `(\w+)` \| (\d{3}) \| (.+) \| (.+) \|$", re.MULTILINE)
_BRANCH = re.compile(r"^[ │├└─]*[A-Z]\w+", re.MULTILINE)


def declared() -> list[type[DetentError]]:
    return [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, DetentError)]


def status_of(kind: type[DetentError]) -> int:
    return next(MEANINGS[known].status for known in kind.__mro__ if known in MEANINGS)


def tree_in(text: str) -> list[str]:
    return _BRANCH.findall(text)


def rows_under(heading: str) -> list[tuple[str, str, int]]:
    """The name, the code and the status of each error in the table of a section."""
    _, _, section = PAGE.read_text("utf-8").partition(f"\n{heading}\n")
    assert section, f"the page has no {heading!r}"
    section = re.split(r"^#", section, maxsplit=1, flags=re.MULTILINE)[0]
    return [(name, code, int(status)) for name, code, status, _, _ in _ROW.findall(section)]


def test_every_error_is_on_the_page_with_its_code_and_its_status():
    assert rows_under("## Every error") == [
        (name, kind.code, status_of(kind)) for name, kind in in_the_order_of_the_tree()
    ]


def test_so_is_every_other_error_that_a_caller_may_meet():
    rows = rows_under("### Of flows, triggers and other packages")
    assert sorted(rows) == sorted((kind.__name__, kind.code, status_of(kind)) for kind in declared_elsewhere())


def declared_elsewhere() -> list[type[DetentError]]:
    """Those that stand beside the tree, but for what a store says to the runtime, which nobody else hears of."""
    for package in (detent, detent_handlers, detent_pg, detent_redis):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    return [
        kind
        for kind in below(DetentError)
        if kind.__module__.partition(".")[0].startswith("detent")
        and kind.__module__ != errors.__name__
        and not kind.__name__.startswith("_")
        and not issubclass(kind, StepRolledBack)
    ]


def below(kind: type[DetentError]) -> Iterator[type[DetentError]]:
    for child in kind.__subclasses__():
        yield child
        yield from below(child)


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
