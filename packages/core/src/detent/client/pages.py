"""Instances that were found on a server, page by page."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field

from detent.service.schemas import InstanceView


@dataclass(frozen=True, slots=True)
class InstancePage:
    """Some of the instances that were found, in order.

    `for` goes over those of this page, `async for` over them and over all pages after it, which it asks for one by one.
    """

    instances: tuple[InstanceView, ...]
    cursor: str | None
    """Where the next page begins; `None` when this is the last."""
    ask: "Callable[[str], Awaitable[InstancePage]]" = field(repr=False, compare=False)
    """Answers the page that begins at a cursor."""

    def __iter__(self) -> Iterator[InstanceView]:
        return iter(self.instances)

    def __len__(self) -> int:
        return len(self.instances)

    async def __aiter__(self) -> AsyncIterator[InstanceView]:
        page: InstancePage | None = self
        while page is not None:
            for instance in page.instances:
                yield instance
            page = await page.next_page()

    async def next_page(self) -> "InstancePage | None":
        """The page after this one; `None` when this is the last."""
        return None if self.cursor is None else await self.ask(self.cursor)
