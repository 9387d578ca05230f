"""The context as a handler sees it, which knows what of it lies elsewhere."""

from typing import Any, NoReturn

from detent.errors import InvalidValue
from detent.json_values import JsonObject


class ContextView(dict[str, Any]):
    """A context whose large values are not taken for missing: asked for before it was read back, one raises `InvalidValue`."""

    def __init__(self, values: JsonObject, beside: set[str]) -> None:
        super().__init__(values)
        self._beside = beside

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or key in self._beside

    def __missing__(self, key: str) -> NoReturn:
        if key in self._beside:
            hint = f"it is large, and kept beside the context: await ctx.read({key!r})"
            raise InvalidValue(f"context.{key}", "was not read back", hint=hint)
        raise KeyError(key)

    def __setitem__(self, key: str, value: Any) -> None:
        self._beside.discard(key)
        super().__setitem__(key, value)

    def __delitem__(self, key: str) -> None:
        if key in self._beside:
            self._beside.discard(key)
        else:
            super().__delitem__(key)

    def pop(self, key: str, *default: Any) -> Any:
        return self[key] if key in self._beside else super().pop(key, *default)

    def setdefault(self, key: str, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    def get(self, key: str, default: Any = None) -> Any:
        return self[key] if key in self._beside else super().get(key, default)
