"""`batch`: another handler, performed for each item of a list."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import AliasChoices, BeforeValidator, Field, field_validator

from detent.definition.part import JsonObjectField, JsonValueField
from detent.definition.selectors import keys_read, select
from detent.definition.shape import fault
from detent.errors import InvalidValue
from detent.flows.context import HandlerContext
from detent.flows.flow import StepSelector
from detent.flows.handler import handler
from detent.flows.results import Failure, Result, Success, failure, success
from detent.json_values import JsonObject, JsonValue, json_value
from detent_handlers.config import HandlerConfig, unusable

_TYPE, _ALIASES = "batch", ("batch.process", "batch-process")
_KEPT = "batch."


class ItemHandler(HandlerConfig):
    """What is done with each item."""

    type: str = Field(min_length=1)
    """The handler."""
    config: JsonObjectField = Field(default_factory=dict)
    """Its config, the same for all items."""
    input: StepSelector | None = None
    """What it is given, selected from the context with `item`, `index`, `total`, `items` and `input` laid over it."""

    @field_validator("type")
    @classmethod
    def _no_batch(cls, type_: str) -> str:
        if type_ in (_TYPE, *_ALIASES):
            raise fault("batch_in_batch", "a batch cannot hold a batch", hint="let each item start a sub_flow")
        return type_


def _by_its_type(written: object) -> object:
    return {"type": written} if isinstance(written, str) else written


class BatchConfig(HandlerConfig):
    """What is done with each item, how many at once, and what a failure means."""

    handler: Annotated[
        ItemHandler, BeforeValidator(_by_its_type), Field(validation_alias=AliasChoices("handler", "processor"))
    ]
    """What is done with each item: a handler, or its type alone."""
    items: list[JsonValueField] | None = None
    """The items; those of the step's input where nothing is said."""
    concurrency: Annotated[
        int,
        Field(validation_alias=AliasChoices("concurrency", "batch_size", "batchSize"), ge=1, le=1_000, strict=True),
    ] = 1
    """How many items are under way at once."""
    checkpoint_every: int = Field(default=100, ge=1, strict=True)
    """After how many items what came of them is kept."""
    continue_on_error: bool = False
    """Whether the others go on when one has failed."""


@handler(
    _TYPE,
    aliases=_ALIASES,
    name="Batch",
    category="control",
    stateful=True,
    targets=False,
    performs=("handler", "processor"),
)
async def batch(ctx: HandlerContext, config: BatchConfig, input: JsonValue) -> Result:
    """Performs a handler for each item of a list: the config's `items`, or the step's input, or `items` in it.

    The handler's input is `{"item", "index", "total"}`, beside what else is in the step's input; or what its `input` selects from
    the execution's context, over which `item`, `index`, `total`, `items` and `input`, the step's, are laid. It answers success
    or failure: a batch is no place to wait or to go elsewhere. The output is `{"results", "errors", "processed", "failed"}`: what
    came of each item in the order of the items, null for one that failed; `{"index", "code", "message"}` of each that failed;
    and how many there were of both.

    Every `checkpoint_every` items what came of them is kept, and the progress told. Another attempt, after a crash or by the
    step's `retry`, goes on from there: an item may be done twice, if that was not kept yet, but none that was. What the handler
    writes into the context counts only if this attempt is the last; its answer is what is kept.

    Without `continue_on_error` no item is begun after one has failed; those under way are ended and kept, and the batch fails
    with `BATCH_ITEM_FAILED` and `{"index", "code", "message"}` of the first.
    """
    items = config.items
    if items is None:
        items = input.get("items") if isinstance(input, dict) else input
    if not isinstance(items, list):
        return unusable("there is no list of items, neither in the config nor in the input")
    return await _Batch(ctx, config, items, await _beside(ctx, config.handler)).run()


async def _beside(ctx: HandlerContext, chosen: ItemHandler) -> Mapping[str, JsonValue]:
    """The part of the execution's context that the items' inputs are made of."""
    if chosen.input is None:
        return {}
    keys = keys_read(chosen.input)
    wanted = {*ctx.context, *ctx.keys_beside} if keys is None else {key for key in keys if ctx.has(key)}
    return {key: await ctx.read(key) for key in sorted(wanted)}


class _Batch:
    """One attempt at all items that no earlier attempt has kept."""

    def __init__(
        self, ctx: HandlerContext, config: BatchConfig, items: list[JsonValue], beside: Mapping[str, JsonValue]
    ) -> None:
        self._ctx = ctx
        self._config = config
        self._items = items
        self._beside = beside
        kept = {name: value for name, value in ctx.kept.items() if name.startswith(_KEPT)}
        self._saves = len(kept)
        self._done: dict[int, JsonObject] = {index: outcome for part in kept.values() for index, outcome in part}
        """What came of each item: its `output`, or its `error`."""
        self._unsaved: list[int] = []
        self._failures: dict[int, Failure] = {}
        """What ends the batch."""
        self._under_way: dict[asyncio.Task[Result], int] = {}

    async def run(self) -> Result:
        """The answer of the step."""
        left = iter([index for index in range(len(self._items)) if index not in self._done])
        try:
            while self._begin(left):
                await self._take_ended()
                if len(self._unsaved) >= self._config.checkpoint_every:
                    await self._save()
        finally:
            await self._stop()
        if self._failures:
            await self._save()
            return self._failed()
        await self._tell()
        return success(self._output())

    def _begin(self, left: Iterator[int]) -> bool:
        """Begin as many items as may be under way; whether any is."""
        while not self._failures and len(self._under_way) < self._config.concurrency:
            index = next(left, None)
            if index is None:
                break
            self._under_way[asyncio.create_task(self._perform(index))] = index
        return bool(self._under_way)

    async def _perform(self, index: int) -> Result:
        chosen = self._config.handler
        try:
            given = self._given(index)
        except InvalidValue as error:
            return failure("INPUT_ERROR", str(error), {"path": error.path}, retryable=False)
        return await self._ctx.perform(chosen.type, chosen.config, given, scope=str(index))

    def _given(self, index: int) -> JsonValue:
        """What the handler is given for an item. Raises `InvalidValue` where a template lacks something."""
        whole, selector = self._ctx.input, self._config.handler.input
        one = {"item": self._items[index], "index": index, "total": len(self._items)}
        if selector is not None:
            return select(selector, {**self._beside, **one, "items": self._items, "input": whole})
        others = whole if isinstance(whole, dict) else {}
        return {**{key: value for key, value in others.items() if key != "items"}, **one}

    async def _take_ended(self) -> None:
        ended, _ = await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            self._take(self._under_way.pop(task), task.result())

    def _take(self, index: int, result: Result) -> None:
        answer = _answer(result)
        if isinstance(answer, Success):
            self._done[index] = {"output": answer.output}
        elif self._config.continue_on_error:
            self._done[index] = {"error": {"code": answer.code, "message": answer.message}}
        else:
            self._failures[index] = answer
            return
        self._unsaved.append(index)

    async def _save(self) -> None:
        """Keep what is new, under a name of its own, so that little is written however long the list is."""
        if self._unsaved:
            await self._ctx.checkpoint(f"{_KEPT}{self._saves}", [[index, self._done[index]] for index in self._unsaved])
            self._saves += 1
            self._unsaved = []
            await self._tell()

    async def _tell(self) -> None:
        done, all_ = len(self._done), len(self._items)
        await self._ctx.progress(done / all_ if all_ else 1.0, f"{done} of {all_}")

    async def _stop(self) -> None:
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    def _failed(self) -> Failure:
        index, item = min(self._failures.items(), key=lambda one: one[0])
        return failure(
            "BATCH_ITEM_FAILED",
            f"item {index}: {item.message or item.code}",
            {"index": index, "code": item.code, "message": item.message},
            retryable=item.retryable,
            retry_after=item.retry_after,
        )

    def _output(self) -> JsonObject:
        outcomes = [self._done[index] for index in range(len(self._items))]
        errors = [{"index": index, **one["error"]} for index, one in enumerate(outcomes) if "error" in one]
        return {
            "results": [one.get("output") for one in outcomes],
            "errors": errors,
            "processed": len(outcomes),
            "failed": len(errors),
        }


def _answer(result: Result) -> Success | Failure:
    """What came of an item, fit to be kept."""
    match result:
        case Failure():
            return result
        case Success(output):
            try:
                return Success(json_value(output, "output"))
            except InvalidValue as error:
                return failure("OUTPUT_ERROR", str(error), retryable=False)
        case _:
            said = f"it answered a {type(result).__name__}, and an item of a batch succeeds or fails"
            return failure("ITEM_RESULT_UNFIT", said, retryable=False)
