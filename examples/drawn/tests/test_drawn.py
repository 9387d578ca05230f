"""The numbered examples run, and the modules beside them are what their diagrams say."""

from pathlib import Path

from click.testing import CliRunner

from detent.cli.main import main as detent
from detent.testing import WorkflowHarness
from examples.drawn.ex1_retry import report
from examples.drawn.ex2_loop import countdown
from examples.drawn.ex3_fork import shipping
from examples.drawn.ex4_composite import claim
from examples.drawn.ex5_events import order
from examples.drawn.ex5_events.order import Order, send_reminder

ROOT = Path(__file__).parents[3]


def test_generated_modules_are_what_their_diagrams_say(monkeypatch):
    monkeypatch.chdir(ROOT)
    told = CliRunner().invoke(detent, ["generate", "--check", "--root", ".", "examples/**/*.mmd"])
    assert (told.exit_code, told.output.count(": current\n")) == (0, 12), told.output


async def test_a_step_is_repeated_until_it_succeeds(capsys):
    await report.main()
    assert capsys.readouterr().out == "2026-11-21: 8\ncompleted\n"


async def test_a_loop_goes_round_until_it_is_left(capsys):
    await countdown.main()
    assert capsys.readouterr().out == "3\n2\n1\nlift-off\n"


async def test_what_both_branches_ended_with_is_there_behind_the_join(capsys):
    await shipping.main()
    assert capsys.readouterr().out == "3 things in 2 parcels, with a bill of 40 €\ncompleted\n"


async def test_a_composite_is_left_at_its_end_on_every_way(capsys):
    await claim.main("broken window, 80")
    await claim.main("burnt house, 80000")
    assert capsys.readouterr().out == "claim 7: 80 paid\nclaim 7: 0 paid\n"


async def test_an_order_is_shipped_where_its_payment_says(capsys):
    await order.main()
    assert capsys.readouterr().out == "to pay: 20\npen, ink to London\ncompleted\n"


async def test_an_order_is_reminded_of_and_runs_out():
    async with WorkflowHarness(Order.definitions, commands=[*Order.commands, send_reminder]) as harness:
        await harness.start(context={"items": ["pen"]})
        await harness.assert_state("waiting")
        await harness.advance("3d")
        assert [message.payload for message in harness.published()] == [{"remind": 10}]
        await harness.advance("11d")
        await harness.assert_state("cancelled")
