"""The messages to one instance, page by page: there may be more of them than fit into memory."""

from collections.abc import AsyncIterator, Collection, Sequence

from detent.runtime.judging import Judgement, judge
from detent.store.messages import InboxMessage
from detent.store.protocol import MESSAGES_OF_A_PAGE, Unit
from detent.store.records import WorkflowInstance


async def pages(unit: Unit) -> AsyncIterator[Sequence[InboxMessage]]:
    """All messages to the instance of `unit` that are not dead, by rising number."""
    after = 0
    while True:
        page = await unit.messages(after=after)
        if page:
            yield page
        if len(page) < MESSAGES_OF_A_PAGE:
            return
        after = page[-1].number


async def judged(record: WorkflowInstance, unit: Unit, declared: Collection[str]) -> Judgement:
    """What is to be done with them in a state that declares these events. Reads no further than to one that can be taken."""
    judgement = Judgement()
    async for page in pages(unit):
        judgement = judge(record, page, declared, unit.now, judgement)
        if judgement.chosen is not None:
            break
    return judgement


async def seen_again(message: InboxMessage, unit: Unit) -> InboxMessage | None:
    """`message` as it is by now; `None` when it is gone or dead."""
    page = await unit.messages(after=message.number - 1)
    return page[0] if page and page[0].id == message.id else None
