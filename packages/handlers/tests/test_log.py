"""`log`: what the line says, and that nobody's data can forge another."""

import logging

import pytest

from detent.flows.results import Failure, Success
from detent_handlers import log
from packages.handlers.tests.calling import EXECUTION, call, problems

WHERE = f"order {EXECUTION} the_step: "


class Kept(logging.Handler):
    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record)


@pytest.fixture
def records():
    kept, logger = Kept(), logging.getLogger("detent_handlers.log")
    logger.addHandler(kept)
    logger.setLevel(logging.DEBUG)
    yield kept.records
    logger.removeHandler(kept)
    logger.setLevel(logging.NOTSET)


async def test_a_line_names_the_execution_its_flow_and_the_step(records):
    assert await call(log, config={"message": "shipped"}) == Success()
    [record] = records
    assert (record.name, record.levelname, record.getMessage()) == ("detent_handlers.log", "INFO", WHERE + "shipped")
    assert (record.execution_id, record.flow, record.step) == (str(EXECUTION), "order", "the_step")


@pytest.mark.parametrize(
    ("config", "given", "level", "said"),
    [
        ({"level": "error"}, "lost", "ERROR", "lost"),
        ({"level": "warn"}, {"message": "late"}, "WARNING", "late"),
        ({}, {"message": "why", "level": "debug"}, "DEBUG", "why"),
        ({"message": "mine", "level": "info"}, {"message": "yours", "level": "error"}, "INFO", "mine"),
        ({}, {"message": {"total": 5}, "order": 3}, "INFO", '{"total":5}'),
        ({}, {"message": False}, "INFO", "false"),
    ],
)
async def test_what_the_config_leaves_out_the_input_says(records, config, given, level, said):
    await call(log, config=config, input=given)
    [record] = records
    assert (record.levelname, record.getMessage()) == (level, WHERE + said)


@pytest.mark.parametrize("text", ["100% of %s and %(flow)s", "{0} {flow.__class__}", "${name}"])
async def test_a_text_that_looks_like_a_format_is_text(records, text):
    await call(log, input=text)
    assert records[0].getMessage() == WHERE + text


async def test_a_line_break_in_the_data_makes_no_second_line(records):
    await call(log, input="Zoë\nERROR root: all lost\r\x1b[2J")
    assert records[0].getMessage() == WHERE + r"Zoë\nERROR root: all lost\r\x1b[2J"


@pytest.mark.parametrize("given", [None, {}, 5, ["text"], {"message": None}])
async def test_without_a_message_it_fails(records, given):
    answer = await call(log, input=given)
    assert isinstance(answer, Failure)
    assert (answer.code, answer.retryable, records) == ("INPUT_VALIDATION_FAILED", False, [])


async def test_a_level_that_there_is_not_is_refused_in_the_input(records):
    answer = await call(log, input={"message": "hi", "level": "loud"})
    assert isinstance(answer, Failure)
    assert answer.code == "INPUT_VALIDATION_FAILED"
    assert [one["path"] for one in answer.details] == ["level"]


def test_bad_config_is_found_with_the_flow():
    assert [one.path for one in problems("log", {"level": "loud", "text": "hi"})] == [
        "steps.first.config.level",
        "steps.first.config.text",
    ]
    assert problems("log", {"level": "warn", "message": "hi"}) == []
