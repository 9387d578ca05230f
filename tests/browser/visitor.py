"""A page in a real browser, and everything that went wrong on it."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from playwright.async_api import Browser, ConsoleMessage, Locator, Page, Request, Response

ROOT = Path(__file__).parents[2]
ARTEFACTS = ROOT / "artefacts" / "browser"
"""Where screenshots are kept, for people to look at."""
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
PATIENCE = 30_000
"""How many milliseconds a page has for anything; a slow machine is no failure."""


@dataclass
class Visitor:
    """Somebody at a page, who notes what the browser complains about."""

    page: Page
    root: str
    """Where the dashboard is mounted."""
    complaints: list[str] = field(default_factory=list)
    _expected: int | None = None

    def watch(self) -> None:
        """Note errors on the console, violations of the policy among them, broken scripts, and requests that came to nothing."""
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        self.page.on("requestfailed", self._note_failed)
        self.page.on("response", self._note_status)

    @contextmanager
    def turned_down(self, status: int) -> Iterator[None]:
        """Within, this status is the answer that is looked for."""
        self._expected = status
        try:
            yield
        finally:
            self._expected = None

    async def goes(self, path: str = "/", *, status: int = 200) -> None:
        with self.turned_down(status):
            answer = await self.page.goto(self.root + path)
        assert answer is not None
        assert answer.status == status, path

    async def event(self, name: str, **fields: str) -> None:
        """Fill in the form of an event, and send it."""
        form = self.page.get_by_role("form", name=f"Event {name}", exact=True)
        for label, value in fields.items():
            await fill(form.get_by_label(label), value)
        await form.get_by_role("button").click()

    async def confirms(self, form: Locator, reason: str) -> None:
        """Give a reason, tick, and send."""
        await form.get_by_label("Reason").fill(reason)
        await form.get_by_label("I mean it").check()
        await form.get_by_role("button").last.click()

    async def says(self, text: str) -> None:
        """Wait until the page tells it."""
        await self.page.get_by_role("main").get_by_text(text).first.wait_for(timeout=PATIENCE)

    async def stands_in(self, state: str) -> None:
        """Wait until the heading names the state."""
        await self.page.get_by_role("heading", level=1).filter(has_text=state).wait_for(timeout=PATIENCE)

    async def drawn_in(self, state: str) -> None:
        """Wait until the drawn diagram marks the state as the current one."""
        frame = self.page.frame_locator("iframe.diagram")
        await frame.locator("#picture svg g.node.now").filter(has_text=state).wait_for(timeout=PATIENCE)

    async def listed_in(self, state: str) -> None:
        """Wait until the list of states marks it as the current one."""
        current = self.page.locator(".places > [aria-current=step]")
        await current.filter(has_text=state).wait_for(timeout=PATIENCE)

    async def shoot(self, name: str) -> None:
        """Keep a picture of the whole page."""
        ARTEFACTS.mkdir(parents=True, exist_ok=True)
        await self.page.screenshot(path=ARTEFACTS / f"{name}.png", full_page=True)

    async def faults(self) -> list[str]:
        """What axe-core finds, however slight, where it was given as a script."""
        report = await self.page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
        return [
            f"{one['id']} ({one['impact']}): {node['html']} {node['failureSummary']}"
            for one in report["violations"]
            for node in one["nodes"]
        ]

    async def faults_light_and_dark(self, name: str) -> dict[str, list[str]]:
        """What axe-core finds with everything drawn and open, by scheme; a picture of each is kept. It is dark then."""
        found = {}
        for scheme in SCHEMES:
            await self.page.emulate_media(color_scheme=scheme)
            await self._draw_and_open(anew=scheme == "dark")
            await self.shoot(f"{name}-{scheme}")
            found[f"{name}-{scheme}"] = await self.faults()
        return found

    async def _draw_and_open(self, *, anew: bool) -> None:
        if await self.page.locator("iframe.diagram").count():
            if anew:
                await self.page.reload()
            await self.page.frame_locator("iframe.diagram").locator("#picture svg").wait_for()
        await self.page.evaluate("document.querySelectorAll('details').forEach(it => { it.open = true; })")

    async def overflow(self) -> int:
        """By how many pixels the page is wider than the window."""
        wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(await self.page.evaluate(wider))

    def _hear(self, message: ConsoleMessage) -> None:
        told = f"status of {self._expected}" in message.text if self._expected else False
        if message.type == "error" and not told:
            self.complaints.append(f"console: {message.text}")

    def _note_failed(self, request: Request) -> None:
        # A stream that listens ends with its page, and so does what was on its way when somebody went on.
        if not request.url.partition("?")[0].endswith("/live") and request.failure != "net::ERR_ABORTED":
            self.complaints.append(f"failed: {request.url} {request.failure}")

    def _note_status(self, response: Response) -> None:
        if response.status >= 400 and response.status != self._expected:
            self.complaints.append(f"status {response.status}: {response.url}")


async def fill(field: Locator, value: str) -> None:
    """Put a value into whatever kind of field it is."""
    if await field.evaluate("it => it.tagName") == "SELECT":
        await field.select_option(label=value)
    else:
        await field.fill(value)


@asynccontextmanager
async def visiting(
    browser: Browser, root: str, *, scripts: str | None = None, **options: Any
) -> AsyncIterator[Visitor]:
    """A visitor with a session of his own; at its end the browser must not have complained."""
    context = await browser.new_context(
        **{"reduced_motion": "reduce", "viewport": {"width": 1280, "height": 900}, **options}
    )
    context.set_default_timeout(PATIENCE)
    if scripts is not None:
        # Not a script of the page: its policy lets only its own files run.
        await context.add_init_script(scripts)
    visitor = Visitor(await context.new_page(), root)
    visitor.watch()
    try:
        yield visitor
        assert not visitor.complaints, visitor.complaints
    finally:
        await context.close()
