"""Beside which plugins ours may stand, and in which order: engines and channels outlive the runtime."""

from typing import Any

import pytest
from advanced_alchemy.extensions.litestar import (
    SQLAlchemyAsyncConfig,
    SQLAlchemyPlugin,
    async_autocommit_before_send_handler,
)
from litestar import Litestar
from litestar.channels import ChannelsPlugin
from litestar.channels.backends.memory import MemoryChannelsBackend
from litestar.exceptions import ImproperlyConfiguredException
from litestar.plugins import InitPlugin
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from detent import MemoryStore
from detent_litestar import ChannelsBridge, WorkflowConfig, WorkflowPlugin


class Watched(MemoryStore):
    def __init__(self, log: list[str]) -> None:
        super().__init__()
        self.log = log

    async def open(self) -> None:
        await super().open()
        self.log.append("runtime starts")

    async def close(self) -> None:
        self.log.append("runtime stops")
        await super().close()


def engine() -> AsyncEngine:
    """One that connects to nothing."""
    return create_async_engine("postgresql+asyncpg://nobody@localhost:1/nothing")


def alchemy(opened: AsyncEngine) -> SQLAlchemyPlugin:
    return SQLAlchemyPlugin(SQLAlchemyAsyncConfig(engine_instance=opened))


async def start(*plugins: Any) -> None:
    async with Litestar(logging_config=None, plugins=plugins).lifespan():
        pass


async def test_engines_are_open_before_the_runtime_and_close_after_it():
    log: list[str] = []
    opened = engine()
    event.listen(opened.sync_engine, "engine_disposed", lambda engine: log.append("engine closes"))
    await start(alchemy(opened), WorkflowPlugin(WorkflowConfig(store=Watched(log), worker="asgi")))
    assert log == ["runtime starts", "runtime stops", "engine closes"]


async def test_an_engine_that_would_close_too_early_stops_the_start_with_what_to_write():
    fix = r"plugins=\[SQLAlchemyPlugin\(\.\.\.\), WorkflowPlugin\(\.\.\.\)\]"
    with pytest.RaisesGroup(
        pytest.RaisesExc(ImproperlyConfiguredException, match=f"list SQLAlchemyPlugin before WorkflowPlugin: {fix}"),
        flatten_subgroups=True,
    ):
        await start(WorkflowPlugin(WorkflowConfig(store=MemoryStore())), alchemy(engine()))


@pytest.mark.parametrize(
    "handler", ["autocommit", "autocommit_include_redirects", async_autocommit_before_send_handler]
)
async def test_the_start_warns_of_a_commit_that_may_fail_unseen_and_says_what_to_do(handler, caplog):
    config = SQLAlchemyAsyncConfig(
        engine_instance=engine(), before_send_handler=handler, session_dependency_key="shop_session"
    )
    await start(SQLAlchemyPlugin(config), WorkflowPlugin(WorkflowConfig(store=MemoryStore())))
    assert [record.name for record in caplog.records] == ["detent.litestar"]
    assert "Leave out before_send_handler=" in caplog.text
    assert "within('shop_session')" in caplog.text


async def test_a_session_that_the_handlers_commit_is_nothing_to_warn_of(caplog):
    await start(alchemy(engine()), WorkflowPlugin(WorkflowConfig(store=MemoryStore())))
    assert not caplog.records


def channels() -> ChannelsPlugin:
    return ChannelsPlugin(MemoryChannelsBackend(), arbitrary_channels_allowed=True)


def bridged(to: ChannelsPlugin) -> WorkflowPlugin:
    return WorkflowPlugin(WorkflowConfig(store=MemoryStore(), observers=[ChannelsBridge(to)]))


async def test_channels_stand_before_or_after_since_ours_is_entered_last():
    for before in (True, False):
        known = channels()
        ours = bridged(known)
        await start(*([known, ours] if before else [ours, known]))


class Adds(InitPlugin):
    """A plugin that brings another one, which comes after all that were listed."""

    def __init__(self, added: InitPlugin) -> None:
        self.added = added

    def on_app_init(self, app_config):
        app_config.plugins.append(self.added)
        return app_config


@pytest.mark.parametrize("listed", ["not at all", "too late"])
async def test_a_bridge_to_channels_that_are_not_open_is_refused_with_what_to_write(listed):
    known = channels()
    others = [] if listed == "not at all" else [Adds(known)]
    with pytest.raises(ImproperlyConfiguredException, match=r"plugins=\[channels, WorkflowPlugin\(\.\.\.\)\]"):
        await start(bridged(known), *others)
