"""How commands are called: classes, and values as the models that parameters ask for."""

import pytest
from pydantic import BaseModel

from detent import command
from detent.errors import InvalidValue

STEP = {
    "name": "step",
    "initial_state": "a",
    "states": {"a": {"events": {"go": {"target": "b", "commands": ["go"]}}}, "b": {}},
}


class Distance(BaseModel):
    metres: int


async def test_a_command_may_be_a_class_without_a_constructor(running):
    @command("go")
    class Go:
        async def __call__(self, ctx):
            ctx.context["gone"] = True

    runtime = await running(STEP, commands=[Go])
    made = await runtime.create_instance("step")
    assert (await runtime.trigger_event(made.id, "go")).instance.context == {"gone": True}


async def test_a_payload_that_a_command_cannot_read_as_its_model_is_refused(running):
    @command("go")
    async def go(ctx, payload: Distance):
        ctx.context["metres"] = payload.metres

    runtime = await running(STEP, commands=[go])
    made = await runtime.create_instance("step")
    with pytest.raises(InvalidValue, match="does not fit Distance"):
        await runtime.trigger_event(made.id, "go", payload={"metres": "far"})
    result = await runtime.trigger_event(made.id, "go", payload={"metres": 5})
    assert result.instance.context == {"metres": 5}
