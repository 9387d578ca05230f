"""The road in docs/architecture.md is the one that an event takes."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from sqlalchemy import URL, make_url

from detent_pg.statements import writing
from examples.orders.app import create_app
from examples.orders.client import shop_inside
from examples.orders.storage import open_storage
from packages.pg.tests.wire import Wire
from tests.databases import database_beside
from tests.postgres import Postgres

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
ROAD = [(ROOT / path, name) for path, name in re.findall(r"^\d+\. `([^`]+)`, `([^`]+)`:", PAGE, re.MULTILINE)]


def test_the_road_is_at_most_a_dozen_files_and_visits_none_twice():
    files = [file for file, _ in ROAD]
    assert 8 <= len(files) <= 12
    assert len(files) == len(set(files))
    assert [file for file in files if not file.is_file()] == []


def test_every_other_file_that_the_page_names_exists():
    sources = [ROOT / "packages" / package / "src" for package in ("core", "pg", "litestar", "fastapi")]
    folders = [*sources, ROOT, sources[0] / "detent"]
    named = re.findall(r"`([\w/]+\.py)`", PAGE)
    missing = [name for name in named if "/" in name and not any((folder / name).is_file() for folder in folders)]
    assert missing == []


async def test_an_event_takes_the_road_and_arrives_at_two_statements(postgres_server: Postgres, postgres_url: URL):
    entered: list[tuple[Path, str]] = []
    async with (
        Wire(postgres_server.address) as wire,
        database_beside(postgres_url) as url,
        open_storage(wire.url(make_url(url)).render_as_string(hide_password=False)) as storage,
        shop_inside(create_app(storage, sweep_every=None)) as shop,
    ):
        order = await shop.place("Ada Lovelace", "London")
        # Statements are built once and kept; here the building is to be seen.
        writing.write.cache_clear()
        with wire.recording() as statements, _calls(entered):
            await shop.trigger(order["id"], "PaymentReceived")
    assert list(dict.fromkeys(call for call in entered if call in ROAD)) == ROAD
    # The driver may ask a new connection about types.
    ours = [statement for statement in statements if "detent_" in statement]
    assert [statement.split()[0] for statement in ours] == ["SELECT", "WITH"]


@contextmanager
def _calls(entered: list[tuple[Path, str]]) -> Iterator[None]:
    wanted = {str(file) for file, _ in ROAD}

    def note(frame: FrameType, what: str, _: object) -> None:
        code = frame.f_code
        if what == "call" and code.co_filename in wanted:
            entered.append((Path(code.co_filename), code.co_qualname))

    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(None)
