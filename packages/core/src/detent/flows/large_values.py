"""Large values of an execution: kept beside its context, and read back when somebody needs them.

The context holds nothing in their place, so that no reference can leak: which keys they stand for, and under what they are found,
is one of the flow's own affairs. They are found by what they say and by the step that put them, so that a repeated attempt puts
the same again, and no later step what an earlier one has dropped.
"""

import hashlib
from collections.abc import Collection, Mapping

from pydantic_core import to_json

from detent.json_values import JsonObject, JsonValue
from detent.registry.context import ValueKeeper


class LargeValues:
    """The values of one execution during one attempt. `kept` says where they are, by key; `keeper` has them; `mark` tells steps
    apart.
    """

    def __init__(self, kept: Mapping[str, JsonObject], keeper: ValueKeeper | None, *, mark: str) -> None:
        self._kept = dict(kept)
        self._mark = mark
        self._keeper = keeper
        self.keys = set(kept)
        """The keys whose values are beside the context, and were neither read back nor deleted."""

    async def load(self, keys: Collection[str] | None) -> JsonObject:
        """The values of those `keys` that are kept, of all for `None`."""
        wanted = {key: self._kept[key]["ref"] for key in self.keys if keys is None or key in keys}
        if not wanted or self._keeper is None:
            return {}
        found = await self._keeper.load(set(wanted.values()))
        self.keys -= wanted.keys()
        return {key: found[ref] for key, ref in wanted.items() if ref in found}

    def left_beside(self, context: JsonObject) -> dict[str, JsonObject]:
        """Where the values are that nobody has read back, deleted, or written anew in `context`."""
        return {key: self._kept[key] for key in sorted(self.keys) if key not in context}

    async def drop(self, refs: Collection[str]) -> None:
        """Take out values that nothing refers to any more."""
        if refs and self._keeper is not None:
            await self._keeper.delete(refs)

    async def put_away(self, context: JsonObject, least: int | None) -> tuple[JsonObject, dict[str, JsonObject]]:
        """What of a context stays in it, and where the rest is: every value that takes at least `least` bytes of JSON.

        Nothing is lost where the attempt fails behind this: what was put stays unreferred to, and goes with the instance.
        """
        if least is None or self._keeper is None:
            return context, {}
        stays, away = dict[str, JsonValue](), dict[str, JsonObject]()
        for key, value in context.items():
            text = to_json(value) if isinstance(value, str | dict | list) else b""
            if len(text) < least:
                stays[key] = value
                continue
            said = hashlib.sha256(text).hexdigest()
            ref: str = self._kept.get(key, {}).get("ref", "")
            if not ref.endswith(said):
                ref = f"{self._mark}:{said}"
                await self._keeper.put(ref, value)
            away[key] = {"ref": ref, "bytes": len(text)}
        return stays, away
