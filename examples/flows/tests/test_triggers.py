"""The webhook and the schedule."""

from examples.flows import nightly, webhook


async def test_a_webhook_starts_its_flow_once_and_turns_away_what_is_wrong(capsys):
    await webhook.main()
    assert capsys.readouterr().out.splitlines() == [
        "started",
        "known",
        "validation_failed body: 'ref' is a required property",
        "unauthorized",
        "['unauthorized', 'validation_failed', 'duplicate', 'success']",
    ]


async def test_a_schedule_fires_every_night_and_once_for_the_nights_that_were_missed(capsys):
    await nightly.main()
    assert capsys.readouterr().out.splitlines() == [
        "30 March: 1 started, next at 2030-03-31 01:00:00+00:00",
        "31 March: 2 started, next at 2030-04-01 01:00:00+00:00",
        "03 April: 3 started, next at 2030-04-04 01:00:00+00:00",
    ]
