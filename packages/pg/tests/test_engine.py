"""The engine that `from_url` makes."""

import traceback
from collections.abc import Callable

import asyncpg
import pytest
from sqlalchemy import URL, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from detent.errors import InvalidValue, StoreUnavailable
from detent_pg import PgHealth, PgStore, make_engine, migrate


async def test_its_sessions_let_go_of_what_a_frozen_process_holds(store: PgStore) -> None:
    async with store.engine.connect() as connection:
        idle = await connection.scalar(select(func.current_setting("idle_in_transaction_session_timeout")))
        check = await connection.scalar(select(func.current_setting("client_connection_check_interval")))

    assert (idle, check) == ("10s", "1s")


async def test_its_errors_show_no_parameters(store: PgStore) -> None:
    async with store.engine.connect() as connection:
        with pytest.raises(DBAPIError) as raised:
            await connection.execute(text("SELECT 1 / :zero, :word"), {"zero": 0, "word": "secret"})

    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg"])
def test_every_spelling_of_the_scheme_is_asyncpg(scheme: str) -> None:
    engine = make_engine(f"{scheme}://me:pw@host/name?sslmode=verify-full")

    assert engine.url.drivername == "postgresql+asyncpg"
    assert dict(engine.url.query) == {}


@pytest.mark.parametrize(
    "url",
    [
        "mysql://me:secret@host/name",
        "postgresql+psycopg://me:secret@host",
        "me:secret",
        "postgresql://me:secret@host:port/name",
        "postgresql://me:secret/name",
    ],
)
@pytest.mark.parametrize("make", [make_engine, PgStore.from_url])
def test_another_database_is_refused_without_its_password(url: str, make: Callable[[str], object]) -> None:
    with pytest.raises(InvalidValue) as raised:
        make(url)

    assert "secret" not in "".join(traceback.format_exception(raised.value))


def test_a_url_is_not_taken_for_an_engine() -> None:
    with pytest.raises(InvalidValue, match="from_url") as raised:
        PgStore("postgresql://me:secret@host/name")  # type: ignore[arg-type]

    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:secret@{'a' * 80}/name",
        "postgresql://me:secret@127.0.0.1:99999/name",
        "postgresql://me:secret@127.0.0.1:1/name",
        "postgresql://me:secret@127.0.0.1:1/name?connect_timeout=3",
    ],
    ids=["a label too long", "a port too high", "nobody listens", "a parameter of libpq"],
)
async def test_a_database_that_cannot_be_reached_is_unavailable_with_a_reason(url: str) -> None:
    store = PgStore.from_url(url)

    with pytest.raises(StoreUnavailable) as raised:
        await store.open()
    health = await store.health()

    assert not health.ok
    assert health.detail == raised.value.message
    assert "secret" not in str(raised.value)


async def test_health_makes_a_sentence_of_whatever_goes_wrong(store: PgStore, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> int:
        raise LookupError("of somebody else")

    monkeypatch.setattr(migrate, "current_version", broken)

    assert await store.health() == PgHealth(ok=False, detail="LookupError")


async def test_a_database_that_is_not_there_is_named(migrated_url: URL) -> None:
    store = PgStore.from_url(migrated_url.set(database="nowhere"))

    with pytest.raises(StoreUnavailable, match="there is no database 'nowhere'") as raised:
        await store.open()

    assert raised.value.hint is not None
    assert "again" not in raised.value.hint


@pytest.mark.parametrize("refusal", [asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError])
async def test_a_user_who_is_not_let_in_is_named(refusal: type[asyncpg.PostgresError]) -> None:
    async def connect() -> None:
        raise refusal("password authentication failed")

    engine = create_async_engine("postgresql+asyncpg://me:secret@host/name", async_creator=connect)

    with pytest.raises(StoreUnavailable, match="does not let user 'me' in") as raised:
        await PgStore(engine).open()

    assert raised.value.hint is not None
    assert "again" not in raised.value.hint
