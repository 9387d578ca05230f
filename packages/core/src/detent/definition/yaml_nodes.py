"""YAML as nodes and as values, within bounds: a few lines of it can stand for more than fits into memory.

Aliases of aliases double with every line, and PyYAML's C parser, which reads ten times as fast, does not survive deep
nesting. So the events of a text, which take neither memory nor stack, are counted first.
"""

from typing import Any

try:
    import yaml as installed_yaml
except ImportError:  # pragma: no cover - the extra is installed where this is tested
    installed_yaml = None  # type: ignore[assignment]

yaml: Any = installed_yaml
"""PyYAML, or `None` where the extra `yaml` is not installed."""
_LOADER: Any = getattr(yaml, "CSafeLoader", None) or getattr(yaml, "SafeLoader", None)

MAX_DEPTH = 100
"""How many values may stand in one another, those behind aliases included."""
MAX_ALIASED = 5_000
"""How many values all aliases together may stand for."""


def compose_yaml(text: str | bytes) -> Any:
    """The root node of `text`, `None` of an empty one; raises `yaml.YAMLError`, or `ValueError` for what is too much."""
    _Bounds().check(yaml.parse(text, Loader=_LOADER))
    return yaml.compose(text, Loader=_LOADER)


def construct_yaml(root: Any) -> Any:
    """The value of a root node; raises `yaml.YAMLError` or `ValueError`."""
    return None if root is None else _LOADER("").construct_document(root)


class _Bounds:
    """What was counted so far of the events of a text."""

    def __init__(self) -> None:
        self._open: list[_Size] = []
        self._anchored: dict[str, _Size] = {}
        self._aliased = 0

    def check(self, events: Any) -> None:
        for event in events:
            if isinstance(event, yaml.AliasEvent):
                self._add_aliased(self._anchored.get(event.anchor))
            elif isinstance(event, yaml.NodeEvent):
                self._begin(event.anchor)
                if isinstance(event, yaml.ScalarEvent):
                    self._end()
            elif isinstance(event, yaml.CollectionEndEvent):
                self._end()

    def _begin(self, anchor: str | None) -> None:
        size = _Size()
        if anchor is not None:
            self._anchored[anchor] = size
        self._open.append(size)
        self._check_depth(0)

    def _end(self) -> None:
        ended = self._open.pop()
        ended.closed = True
        self._add(ended)

    def _add_aliased(self, size: "_Size | None") -> None:
        if size is None:  # the parser of nodes says that there is no such anchor
            return
        if not size.closed:
            raise ValueError("an alias stands within what it stands for")
        self._aliased += size.values
        if self._aliased > MAX_ALIASED:
            raise ValueError(f"its aliases stand for more than {MAX_ALIASED} values")
        self._check_depth(size.height)
        self._add(size)

    def _add(self, size: "_Size") -> None:
        if self._open:
            self._open[-1].values += size.values
            self._open[-1].height = max(self._open[-1].height, size.height + 1)

    def _check_depth(self, height: int) -> None:
        if len(self._open) + height > MAX_DEPTH:
            raise ValueError("it is nested too deeply")


class _Size:
    """How much one node holds, itself included."""

    __slots__ = ("closed", "height", "values")

    def __init__(self) -> None:
        self.values = self.height = 1
        self.closed = False
