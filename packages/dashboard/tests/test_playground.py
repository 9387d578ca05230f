"""A definition in a file runs in the browser, with a clock that is moved by hand."""

import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from detent import WorkflowDefinition
from detent.cli.main import main
from detent_dashboard.playground import playground_of
from packages.dashboard.tests.conftest import ORDER, Browser, Dashboard, words

DURABLE = {
    "name": "claim",
    "initial_state": "open",
    "states": {
        "open": {"events": {"decide": {"target": "decided", "commands": ["assess"], "guard": "complete"}}},
        "decided": {"events": {"lapse": {"target": "lapsed", "timeout": "2d"}}},
        "lapsed": {"outcome": "failure"},
    },
}


@asynccontextmanager
async def playing(definition: dict[str, Any]) -> AsyncIterator[Browser]:
    async with (
        playground_of([WorkflowDefinition.from_dict(definition)]) as app,
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t") as http,
    ):
        yield Browser(http)


async def test_an_instance_is_made_moved_and_lapses_when_the_clock_is_moved():
    async with playing(DURABLE) as browser:
        text = words(await browser.get("/definition?workflow=claim"))
        assert "Command assess does nothing and answers Ok." in text
        assert "Guard complete lets everything pass." in text
        await browser.send("/definition?workflow=claim")
        page = await browser.event("decide")
        assert "claim decided active" in words(page)
        await browser.send("/clock", by="1d")
        page = await browser.send("/clock", by="1d12h")
        text = words(page)
        assert "claim lapsed failed" in text
        assert "The clock was moved." in text


async def test_it_shows_what_each_step_changed_in_the_context():
    states: Any = DURABLE["states"]
    async with playing({**DURABLE, "states": {**states, "decided": {"context": {"answer": "yes"}}}}) as browser:
        await browser.get("/definition?workflow=claim")
        await browser.send("/definition?workflow=claim")
        assert "/answer added &#34;yes&#34;" in words(await browser.event("decide"))


async def test_a_button_moves_the_clock_by_what_it_says():
    async with playing(DURABLE) as browser:
        before = words(await browser.get("/"))
        assert "The clock was moved." in words(await browser.send("/clock", by=["", "1d"]))
        assert before != words(await browser.get("/"))


@pytest.mark.parametrize("by", ["", "soon", "-1h", "9999999d"])
async def test_a_clock_that_cannot_be_moved_says_why(by: str):
    async with playing(DURABLE) as browser:
        await browser.get("/")
        page = await browser.send("/clock", by=by)
        assert page.status_code == 400
        assert "The clock was not moved" in words(page)


async def test_a_dashboard_has_no_clock_to_move(browser: Dashboard):
    assert "Move the clock" not in (await browser.get("/")).text
    assert (await browser.http.post("/clock", data={"by": "1h"})).status_code == 404


@pytest.mark.parametrize("suffix", ["json", "yaml", "mmd"])
def test_the_command_serves_a_file_until_it_is_told_to_stop(tmp_path: Path, suffix: str):
    file = tmp_path / f"claim.{suffix}"
    drawn = "stateDiagram-v2\n    [*] --> open\n    open --> decided : decide / assess\n    decided --> [*]\n"
    file.write_text(drawn if suffix == "mmd" else json.dumps(DURABLE))
    program = "from detent.cli.main import main; main()"
    command = [sys.executable, "-c", program, "playground", str(file), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout is not None
        try:
            said = [process.stdout.readline() for _ in range(2 if suffix == "mmd" else 3)]
            assert "claim" in httpx.get(said[-1].split()[0], timeout=20).text
            stranger = httpx.get(said[-1].split()[0], headers={"host": "rebound.test"}, timeout=20)
            assert (stranger.status_code, "claim" in stranger.text) == (400, False)
        finally:
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert said[0] == "Command assess does nothing and answers Ok.\n"


def test_a_file_that_is_no_definition_is_told(tmp_path: Path):
    file = tmp_path / "odd.json"
    file.write_text('{"name": "odd"}')
    answer = CliRunner().invoke(main, ["playground", str(file)])
    assert answer.exit_code == 1
    assert "holds no sound definition" in " ".join(answer.output.replace("│", "").split())


async def test_the_definition_of_the_tests_runs_with_stand_ins_too():
    async with playing(ORDER) as browser:
        assert "order" in (await browser.get("/")).text
