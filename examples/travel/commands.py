"""What runs on the transitions of a trip and of its vouchers."""

from collections.abc import Callable, Sequence
from datetime import timedelta

from detent import CommandContext, Fail, Ok, Retry, command
from examples.travel import bookings
from examples.travel.partners import Company, Partners, SoldOut
from examples.travel.workflow import PARTS

SOON = Retry(attempts=3, initial=timedelta(milliseconds=50))
PATIENCE = timedelta(seconds=2)


def commands_with(partners: Partners) -> Sequence[Callable[..., object]]:
    """All commands of a trip, those of the three companies among them."""
    booking = [_booking(part, partners.of(part)) for part in PARTS]
    cancelling = [_cancelling(part, partners.of(part)) for part in PARTS]
    return [
        *booking,
        *cancelling,
        _cancelling_everything(partners),
        note_booking,
        strike_booking,
        order_vouchers,
        collect_vouchers,
        print_voucher,
    ]


def _booking(part: str, company: Company) -> Callable[..., object]:
    @command(f"book_{part}", durable=True, retry=SOON, timeout=PATIENCE)
    async def book(ctx: CommandContext) -> Ok | Fail:
        try:
            return Ok(data=await company.book(ctx.durable_run.key))
        except SoldOut:
            return Fail("sold_out", f"there is no {part} left")

    return book


def _cancelling(part: str, company: Company) -> Callable[..., object]:
    @command(f"cancel_{part}", durable=True, retry=SOON, timeout=PATIENCE)
    async def cancel(ctx: CommandContext) -> None:
        await company.cancel(ctx.context[part])

    return cancel


def _cancelling_everything(partners: Partners) -> Callable[..., object]:
    @command("cancel_everything", durable=True, retry=SOON, timeout=PATIENCE)
    async def cancel_everything(ctx: CommandContext) -> None:
        for part in reversed(PARTS):
            await partners.of(part).cancel(ctx.context[part])

    return cancel_everything


@command("note_booking")
async def note_booking(ctx: CommandContext) -> None:
    """The agency's own row, in the commit that keeps this command's answer."""
    await bookings.note(ctx.connection, ctx.instance_id, {part: ctx.context[part] for part in PARTS})


@command("strike_booking")
async def strike_booking(ctx: CommandContext) -> None:
    """Take the row out again."""
    await bookings.strike(ctx.connection, ctx.instance_id)


@command("order_vouchers")
async def order_vouchers(ctx: CommandContext) -> None:
    """A voucher for each bed and each wheel; the trip hears when all of them are printed."""
    for part in ("hotel", "car"):
        await ctx.start_child(
            "voucher",
            context={"part": part, "reference": ctx.context[part]},
            on_end="vouchers_printed",
            wait_for="all",
            group="vouchers",
        )


@command("collect_vouchers")
async def collect_vouchers(ctx: CommandContext) -> None:
    """Put the sheets together; a voucher that somebody cancelled has none."""
    printed = [child["context"] for child in ctx.payload["children"] if child["status"] == "completed"]
    ctx.context["vouchers"] = sorted(context["sheet"] for context in printed)


@command("print_voucher", durable=True, retry=SOON, timeout=PATIENCE)
async def print_voucher(ctx: CommandContext) -> Ok:
    """One sheet of paper."""
    return Ok(data=f"voucher for {ctx.context['reference']}")
