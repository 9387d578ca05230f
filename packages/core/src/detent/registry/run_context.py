"""What a durable command knows of the run it is part of, and what it may say while it works."""

from collections.abc import Mapping
from typing import Protocol
from uuid import UUID

from detent.errors import InvalidValue
from detent.json_values import JsonObject, JsonValue, json_value


class Keeper(Protocol):
    """Writes down what a command says while it works, under the lease of its run."""

    async def keep(self, *, kept: JsonObject | None = None, progress: JsonObject | None = None) -> None:
        """Write it, and extend the lease. Raises `LeaseLost`."""
        ...


class RunContext:
    """`ctx.run` of a durable command. Its three verbs raise `LeaseLost` once another worker has taken over."""

    def __init__(self, run_id: UUID, ordinal: int, attempt: int, kept: Mapping[str, JsonValue], keeper: Keeper) -> None:
        self.id = run_id
        """The run's id."""
        self.key = f"{run_id}:{ordinal}"
        """The same on every attempt of this command in this run, and for no other: an idempotency key for whoever it calls."""
        self.attempt = attempt
        """1 for the first attempt."""
        self._kept = dict(kept)
        self._keeper = keeper

    @property
    def kept(self) -> Mapping[str, JsonValue]:
        """What this command has kept by `checkpoint`, in earlier attempts as well."""
        return dict(self._kept)

    async def heartbeat(self) -> None:
        """Say that the command is still at it. The worker does so by itself; a loop that never awaits should, too."""
        await self._keeper.keep()

    async def progress(self, fraction: float, message: str | None = None) -> None:
        """Say how far it is, from 0 to 1, for operators to see."""
        if not 0 <= fraction <= 1:
            raise InvalidValue("fraction", f"is {fraction!r}", hint="it goes from 0 to 1")
        await self._keeper.keep(progress={"fraction": float(fraction), "message": message})

    async def checkpoint(self, name: str, value: JsonValue = None) -> None:
        """Keep `value` for later attempts of this command: `ctx.run.kept[name]`. It is durable once this returns."""
        checked = json_value(value, f"checkpoint {name!r}")
        await self._keeper.keep(kept={name: checked})
        self._kept[name] = checked
