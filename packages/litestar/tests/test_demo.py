"""`detent demo`, as a process and as a command."""

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from detent_litestar.demo import demo

ROOT = Path(__file__).parents[3]
RUN = "from detent_litestar.demo import demo; demo()"


@pytest.mark.parametrize("store", ["auto", "sqlite"])
def test_the_check_walks_through_everything_and_succeeds(store: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(ROOT)
    result = CliRunner().invoke(demo, ["--check", "--store", store])
    assert result.exit_code == 0, result.output
    assert "14 days pass         → closed" in result.output
    assert result.output.endswith("Everything is as it should be.\n")


def test_outside_of_a_checkout_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(demo, ["--check"])
    assert result.exit_code == 1
    assert "the demo is part of Detent's repository" in result.output


def test_a_check_that_goes_wrong_says_what_and_fails(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("examples.orders.warehouse.Warehouse.refusal", lambda _: "it is on fire")
    result = CliRunner().invoke(demo, ["--check", "--store", "sqlite"])
    assert result.exit_code == 1
    assert "the demo does not do what it should: ShopError" in result.output


@pytest.mark.parametrize("goodbye", [signal.SIGINT, signal.SIGTERM])
async def test_it_stays_up_until_it_is_stopped_and_leaves_nothing(goodbye: signal.Signals, tmp_path: Path):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", RUN, "--port", "0", "--store", "sqlite",
        cwd=ROOT, env={"TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"},
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    said = (await process.stdout.readuntil(b"Ctrl-C stops")).decode()
    async with httpx.AsyncClient() as http:
        for url in re.findall(r"http://\S+/(?:orders|workflows)/\S+(?:history|diagram|-\w{12})$", said, re.MULTILINE):
            assert (await http.get(url)).status_code == 200
    process.send_signal(goodbye)
    rest, _ = await process.communicate()
    assert (process.returncode, os.listdir(tmp_path)) == (0, [])  # noqa: PTH208 - a Path would be said to block
    assert "the data is removed" in rest.decode()
