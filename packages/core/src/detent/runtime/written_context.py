"""A context that remembers what was written to it."""

from collections.abc import Iterable
from typing import Any, Self

from detent.json_values import JsonObject, copy_object, json_object


class WrittenContext(dict[str, Any]):
    """A context dict that knows which of its keys were set or removed since it was made.

    The state's own patch yields to what was written, also where a command wrote the value that was there before, which
    a comparison of before and after would not see.
    """

    def __init__(self, context: JsonObject) -> None:
        super().__init__(copy_object(context))
        self._before = context
        self._touched: set[str] = set()

    @property
    def written(self) -> set[str]:
        """The top-level keys that were set, removed, or changed within."""
        changed = {key for key, value in self.items() if key not in self._before or self._before[key] != value}
        return self._touched | changed | (self._before.keys() - self.keys())

    def reset(self, values: JsonObject, touched: Iterable[str]) -> None:
        """Hold `values` again, with only the keys in `touched` counting as written: what came after is forgotten."""
        super().clear()
        super().update(copy_object(values))
        self._touched = set(touched)

    def touch(self, key: str) -> None:
        """Count `key` as written."""
        self._touched.add(key)

    def copy(self) -> Self:
        """A copy, with what was written so far, that can be thrown away."""
        # Checked, because a command wrote it: what is no JSON would be shared.
        copied = type(self)(json_object(self, "context"))
        copied._before = self._before
        copied._touched = set(self._touched)
        return copied

    def __setitem__(self, key: str, value: Any) -> None:
        self._touched.add(key)
        super().__setitem__(key, value)

    def __delitem__(self, key: str) -> None:
        self._touched.add(key)
        super().__delitem__(key)

    def update(self, *args: Any, **kwargs: Any) -> None:
        for key, value in dict(*args, **kwargs).items():
            self[key] = value

    def __ior__(self, other: Any) -> Self:  # type: ignore[override,misc]  # dict's own overloads cannot be met exactly
        self.update(other)
        return self

    def setdefault(self, key: str, default: Any = None) -> Any:
        self._touched.add(key)
        return super().setdefault(key, default)

    def pop(self, key: str, *default: Any) -> Any:
        self._touched.add(key)
        return super().pop(key, *default)

    def popitem(self) -> tuple[str, Any]:
        key, value = super().popitem()
        self._touched.add(key)
        return key, value

    def clear(self) -> None:
        self._touched.update(self)
        super().clear()
