"""Idempotency and cancellation."""

from examples.flows import cancellation, idempotency


async def test_one_key_starts_one_execution_until_it_expires(capsys):
    await idempotency.main()
    assert capsys.readouterr().out == "execution exists already: True\na day later: True False\n"


async def test_a_cancelled_execution_takes_its_token_with_it(capsys):
    await cancellation.main()
    first, second, token, told = capsys.readouterr().out.splitlines()
    assert first == "cancelled, it was waiting; tokens revoked: 1"
    assert second == "cannot be cancelled: already_ended"
    assert token == "its token: revoked"
    assert told.startswith("Cancellation(source='user', reason='customer requested cancellation'")
