"""The quick start."""

from detent.testing import FlowHarness
from examples.flows.greeting import greet, greeting, main


async def test_the_quick_start_greets(capsys):
    await main()
    assert capsys.readouterr().out == "completed\n{'message': 'Hello, World!'}\n"


async def test_a_user_without_a_name_is_refused_before_the_handler_is_called():
    async with FlowHarness(greeting, [greet]) as harness:
        await harness.run(context={"user": {}})
        await harness.assert_failed("INPUT_VALIDATION_FAILED")
        assert harness.calls == ()
