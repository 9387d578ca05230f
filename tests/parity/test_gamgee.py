"""gamgee's behaviours 1 to 5, 8, 11, 13, 16, 19 and 20, on every store where a store is involved.

The numbers are those of the list that compares the two. What workers do with several instances stands in
`test_gamgee_workers.py`, what the reader makes of diagrams in `test_gamgee_reading.py`.
"""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import cache
from itertools import permutations
from pathlib import Path
from typing import Any, ClassVar

import pytest

from detent import Goto, Retry, RunStatus, Settings, Status, Store, WorkflowRuntime
from detent.definition.duration import parse_duration as duration
from detent.errors import DefinitionChanged, DefinitionInvalid, InvalidValue, WorkflowUnavailable
from detent.notation.python_class import generate
from detent.testing import FakeClock
from detent.workers import WorkflowWorker, WorkOutcome
from tests import type_checkers
from tests.drawn import CHAIN, CONDITIONS, CONDITIONS_PAYLOADS, written
from tests.drawn import drawn as drawn
from tests.parity.ground import Postgresql

ONCE = Settings(run_retry=Retry(attempts=1))
"""What fails is parked at once."""

Started = Callable[..., Awaitable[WorkflowRuntime]]


@pytest.fixture
async def started(store: Store, clock: FakeClock) -> AsyncIterator[Started]:
    """Starts a runtime that runs these classes; it is left when the test ends."""
    async with AsyncExitStack() as stack:

        async def start(*classes: type[Any], **options: Any) -> WorkflowRuntime:
            runtime = WorkflowRuntime(store=options.pop("store", store), clock=clock, **options)
            runtime.register(*classes)
            return await stack.enter_async_context(runtime)

        yield start


def conditions(drawn: Any) -> Any:
    """The seed's three methods; `told` is what they did."""
    base = drawn(CONDITIONS, payloads=CONDITIONS_PAYLOADS).ConditionsBase

    class Conditions(base):  # type: ignore[misc,valid-type]
        told: ClassVar[list[Any]] = []

        async def decide(self, payload):
            if payload["number"] > 0:
                return self.choice.choose_left({"left": payload["number"]})
            return self.choice.choose_right({"right": "no"})

        async def left(self, payload):
            self.told.append(payload)

        async def right(self, payload):
            self.told.append(payload)

    return Conditions


@pytest.mark.parametrize(("number", "told"), [(1, {"left": 1}), (0, {"right": "no"})])
async def test_01_the_conditions_diagram_and_three_methods_run_to_completed_in_one_call(drawn, started, number, told):
    workflow = conditions(drawn)
    runtime = await started(workflow)
    handle = await workflow.submit(runtime, {"number": number})
    executed = await WorkflowWorker(runtime).execute_waiting(type=workflow)
    assert (executed.outcome, executed.instance_id) == (WorkOutcome.COMPLETED, handle.id)
    assert workflow.told == [told]
    entries = await handle.get_history()
    assert [entry.from_state for entry in reversed(entries)][1:] == ["decide", next(iter(told))]


def test_02_an_unchanged_diagram_gives_the_same_bytes_whatever_the_order_of_its_statements():
    head, _, body = CONDITIONS.partition("    state choice <<choice>>\n")
    arrows = [line for line in body.split("\n") if line.strip()]
    first = generate(CONDITIONS, name="conditions")
    for shuffled in list(permutations(arrows))[::97]:
        text = head + "    state choice <<choice>>\n" + "\n".join(shuffled)
        again = generate(text, name="conditions")
        assert again.base(source="c.mmd") == first.base(source="c.mmd")
        assert again.payloads("typed-dict") == first.payloads("typed-dict")


GOOD = """\
from conditions_base import ChoiceDecision, ConditionsBase
from conditions_payloads import DecidePayload, LeftPayload, RightPayload

from detent import WorkflowRuntime
from detent.workers import WorkflowWorker


class Conditions(ConditionsBase):
    async def decide(self, payload: DecidePayload) -> ChoiceDecision:
        if payload["number"] > 0:
            return self.choice.choose_left({"left": payload["number"]})
        return self.choice.choose_right(RightPayload(right="no"))

    async def left(self, payload: LeftPayload) -> None:
        print(payload["left"], self.ctx.instance_id)

    async def right(self, _: RightPayload) -> None:
        pass


async def submit(runtime: WorkflowRuntime) -> str:
    runtime.register(Conditions)
    await Conditions.submit(runtime, {"number": 1}, key="1")
    return (await WorkflowWorker(runtime).execute_waiting(type=Conditions)).outcome
"""
TWO = """\
from chain_base import ChainBase
from chain_payloads import OnePayload, ThreePayload, TwoPayload


class Chain(ChainBase):
    async def one(self, payload: OnePayload) -> TwoPayload:
        return {"two": payload["one"]}

    async def two(self, payload: TwoPayload) -> ThreePayload:
        return {"three": str(payload["two"])}

    async def three(self, payload: ThreePayload) -> None: ...


Chain()
"""
TWO_PAYLOADS = """\
from typing import TypedDict


class OnePayload(TypedDict):
    one: int


class TwoPayload(TypedDict):
    two: int


class ThreePayload(TypedDict):
    three: str
"""
BAD = {
    "missing": TWO.replace("    async def three(self, payload: ThreePayload) -> None: ...\n", ""),
    "other_payload_taken": TWO.replace("two(self, payload: TwoPayload)", "two(self, payload: OnePayload)"),
    "other_payload_answered": TWO.replace("-> TwoPayload", "-> OnePayload"),
    "field_of_other_type": TWO.replace('str(payload["two"])', 'payload["two"]'),
    "answer_at_the_end": TWO.replace("-> None: ...", "-> TwoPayload: return {'two': 1}"),
    "made_by_hand": GOOD.replace('self.choice.choose_right(RightPayload(right="no"))', 'ChoiceDecision("chooseRight")'),
    "made_of_nothing": GOOD.replace('self.choice.choose_right(RightPayload(right="no"))', "ChoiceDecision()"),
    "made_of_a_dict": GOOD.replace('self.choice.choose_right(RightPayload(right="no"))', '{"event": "chooseRight"}'),
    "misspelt": GOOD.replace("choose_right", "choose_rihgt"),
    "payload_of_other_target": GOOD.replace('choose_right(RightPayload(right="no"))', "choose_right({'left': 1})"),
    "submitted_with_another": GOOD.replace('{"number": 1}', '{"numbers": 1}'),
}
"""Files with one mistake each; those before `made_by_hand` are of behaviour 3, the others of 4."""
OF_DECISIONS = list(BAD)[list(BAD).index("made_by_hand") :]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], type_checkers.Found]:
    """What a type checker finds in all of these files: each runs once."""
    folder = tmp_path_factory.mktemp("typed")
    written(folder, CONDITIONS, name="conditions", payloads=CONDITIONS_PAYLOADS)
    written(folder, CHAIN, name="chain", payloads=TWO_PAYLOADS)
    for name, text in {"good": GOOD, "good_chain": TWO, **BAD}.items():
        (folder / f"{name}.py").write_text(text, "utf-8")
    return cache(lambda checker: getattr(type_checkers, checker)(folder))


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_03_a_method_that_is_missing_or_does_not_fit_fails_the_type_checker(found, checker):
    faulty = found(checker).keys()
    assert faulty & {"good_chain.py", "chain_base.py", "chain_payloads.py"} == set()
    assert [name for name in BAD if name not in OF_DECISIONS and f"{name}.py" not in faulty] == []


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_04_an_async_decision_between_options_is_well_typed_and_one_made_by_hand_is_not(found, checker):
    faulty = found(checker).keys()
    assert faulty & {"good.py", "conditions_base.py", "conditions_payloads.py"} == set()
    assert [name for name in OF_DECISIONS if f"{name}.py" not in faulty] == []


async def test_04_a_decision_made_by_hand_is_refused_at_run_time_too(drawn, started):
    module = drawn(CONDITIONS)
    with pytest.raises(TypeError, match="made by the methods of its choice alone"):
        module.ChoiceDecision("chooseLeft")

    class Conditions(conditions(drawn)):  # type: ignore[misc]
        async def decide(self, payload):
            return Goto("chooseLeft")

    runtime = await started(Conditions, settings=ONCE)
    handle = await Conditions.submit(runtime, {"number": 1})
    await runtime.process_runs()
    (run,) = await runtime.runs.for_instance(handle.id)
    assert run.status is RunStatus.PARKED
    assert "answered a Goto" in str(await handle.explain())


PROCESS = """\
import asyncio, os, signal, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from chain_base import ChainBase
from chain_payloads import OnePayload, ThreePayload, TwoPayload
from detent import MemoryStore, SqliteStore, WorkflowRuntime
from detent_pg import PgStore

what, address, killed_at = sys.argv[1:]


def done(step: str, path: list[str]) -> dict[str, list[str]]:
    if step == killed_at:
        os.kill(os.getpid(), signal.SIGKILL)
    with Path("steps.txt").open("a") as steps:
        steps.write(step + "\\n")
    return {"path": [*path, step]}


class Chain(ChainBase):
    async def one(self, payload: OnePayload) -> TwoPayload:
        return done("one", payload["path"])

    async def two(self, payload: TwoPayload) -> ThreePayload:
        return done("two", payload["path"])

    async def three(self, payload: ThreePayload) -> None:
        done("three", payload["path"])


class Later:
    def now(self) -> datetime:
        # When the lease of whoever was killed has run out.
        return datetime.now(UTC) + timedelta(hours=1)


async def main() -> None:
    store = PgStore.from_url(address) if "://" in address else SqliteStore(address) if address else MemoryStore()
    runtime = WorkflowRuntime(store=store, clock=None if what == "submit" else Later())
    runtime.register(Chain)
    async with runtime:
        if what == "submit":
            await Chain.submit(runtime, {"path": []})
        await runtime.process_runs()
        for instance in (await runtime.find_instances()).instances:
            print(instance.workflow, instance.status, instance.context)


asyncio.run(main())
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a store outlives the process."""
    return str(tmp_path / "chain.db") if request.param == "sqlite" else request.getfixturevalue("parity_url")


def run_process(folder: Path, *arguments: str) -> tuple[int, str]:
    """The exit code of a process of its own, and what it printed."""
    command = [sys.executable, "process.py", *arguments]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - ours
    assert ran.returncode in (0, -signal.SIGKILL), ran.stderr
    return ran.returncode, ran.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    written(tmp_path, CHAIN, name="chain", payloads=CHAIN_PAYLOADS)
    (tmp_path / "process.py").write_text(PROCESS, "utf-8")
    return tmp_path


@pytest.mark.parametrize("killed_at", ["one", "two", "three"])
async def test_05_after_kill_9_between_two_steps_a_new_process_finishes_and_repeats_nothing(folder, address, killed_at):
    """The process that goes on has only the class: it has submitted nothing, and made no object of it."""
    if "://" in address:
        async with AsyncExitStack() as stack:
            await Postgresql(address, address, stack).store()
    assert await asyncio.to_thread(run_process, folder, "submit", address, killed_at) == (-signal.SIGKILL, "")
    code, told = await asyncio.to_thread(run_process, folder, "work", address, "")
    assert (code, told) == (0, "chain completed {'path': ['one', 'two']}\n")
    assert (folder / "steps.txt").read_text() == "one\ntwo\nthree\n"


def test_05_what_a_process_had_in_memory_is_gone_with_it(folder):
    """A `MemoryStore` is for tests: it outlives nothing, and does not seem to."""
    assert run_process(folder, "submit", "", "two") == (-signal.SIGKILL, "")
    assert run_process(folder, "work", "", "") == (0, "")


SELF_ARROWS = {
    "attempts=3\\nbackoffMs=100": (3, "0.05s", 1.0),
    "attempts=3,backoffMs=500": (3, "0.25s", 1.0),
    "attempts = 3": (3, "1s", 0.1),
    "attempts=3abc": None,
    "retry 3 times": None,
    "attempts=0": None,
    "attempts=-2": None,
    "attempts=1.23": None,
    "tries=3": None,
}
"""What a label of a self-arrow says: the attempts, the first wait and the share of chance; `None` where it says nothing."""


@pytest.mark.parametrize("label", SELF_ARROWS)
def test_08_a_label_on_a_self_arrow_means_what_it_says_or_is_an_error_with_line_and_state(label):
    text = CHAIN.replace("    two --> three\n", f"    two --> three\n    two --> two: {label}\n")
    said = SELF_ARROWS[label]
    if said is None:
        with pytest.raises(DefinitionInvalid) as refused:
            generate(text, name="chain")
        (problem,) = refused.value.problems
        assert problem.path == "line 8, column 5"
        assert "'two'" in problem.message
        return
    on_enter = generate(text, name="chain").outline.definition.states["two"].on_enter
    assert on_enter is not None
    retry = on_enter.commands[0].retry
    assert retry is not None
    assert (retry.attempts, retry.initial, retry.jitter) == (said[0], duration(said[1]), said[2])


async def test_11_a_key_submitted_twice_answers_the_first_instance_wherever_it_is_and_starts_nothing(drawn, started):
    workflow = conditions(drawn)
    runtime = await started(workflow)
    first = await workflow.submit(runtime, {"number": 1}, key="order-7")
    waiting = await first.get_instance()
    again = await workflow.submit(runtime, {"number": 0}, key="order-7")
    assert again.id == first.id
    assert await first.get_instance() == waiting
    await runtime.process_runs()
    ended = await first.get_instance()
    assert (await workflow.submit(runtime, {"number": 1}, key="order-7")).id == first.id
    await runtime.process_runs()
    assert (await first.get_instance(), workflow.told) == (ended, [{"left": 1}])


async def test_13_a_worker_takes_nothing_of_a_workflow_that_was_not_registered_with_it(drawn, started):
    workflow, other = conditions(drawn), chain(drawn)
    both = await started(workflow, other)
    waiting = await workflow.submit(both, {"number": 1})
    done = await other.submit(both, {"path": []})
    alone = await started(other)
    report = await alone.process_runs()
    assert (report.completed, report.parked) == (3, 0)
    assert (await done.get_instance()).status is Status.COMPLETED
    assert (await waiting.get_instance()).status is Status.ACTIVE
    assert workflow.told == []
    await both.process_runs()
    assert workflow.told == [{"left": 1}]


SHORTER = CHAIN.replace("title: chain", "title: chain · v2").replace("one --> two\n    two --> three", "one --> three")


def shorter(drawn: Any, text: str = SHORTER) -> Any:
    """The chain without its second step."""
    base = drawn(text, payloads=CHAIN_PAYLOADS).ChainBase

    class Chain(base):  # type: ignore[misc,valid-type]
        async def one(self, payload):
            return {"path": [*payload["path"], "one"]}

        async def three(self, payload): ...

    return Chain


async def test_13_an_instance_whose_step_is_gone_stands_and_says_so_and_others_go_on(drawn, started):
    old, new = chain(drawn), shorter(drawn)
    before = await started(old)
    stuck = await old.submit(before, {"path": []})
    after = await started(new, settings=Settings(unresolvable="warn"))
    other = await new.submit(after, {"path": []})
    await after.process_runs()
    assert (await other.get_instance()).status is Status.COMPLETED
    explained = str(await after.explain(stuck.id))
    assert "Version 1 cannot run in this process: no command 'chain.two' is registered." in explained
    await before.process_runs()
    assert (await stuck.get_instance()).status is Status.COMPLETED


DOCS_SAMPLE = """\
stateDiagram-v2
    state if_state <<choice>>
    [*] --> IsPositive
    IsPositive --> if_state
    if_state --> False: if n < 0
    if_state --> True : if n >= 0
"""


def test_16_the_choice_of_mermaids_own_page_gives_options_that_are_told_apart(drawn):
    module = drawn(DOCS_SAMPLE, name="positive")
    options = [name for name in vars(module.IfStateOptions) if not name.startswith("_")]
    assert options == ["n_ge_0", "n_lt_0"]
    assert (module.IfStateOptions.n_lt_0.__doc__, module.IfStateOptions.n_ge_0.__doc__) == (
        "`n < 0`: the workflow ends.",
        "`n >= 0`: the workflow ends.",
    )
    assert isinstance(module.PositiveBase.if_state.n_lt_0(), module.IfStateDecision)


def test_16_options_of_one_name_are_an_error_and_none_is_lost():
    text = DOCS_SAMPLE.replace("if n < 0", "go!").replace("if n >= 0", "Go")
    with pytest.raises(DefinitionInvalid) as refused:
        generate(text, name="positive")
    (problem,) = refused.value.problems
    assert (problem.path, problem.code) == ("line 6, column 5", "python_name_twice")


async def test_19_a_payload_is_kept_as_it_was_submitted(drawn, started):
    workflow = chain(drawn)
    runtime = await started(workflow)
    payload = {"path": ["start"]}
    handle = await workflow.submit(runtime, payload)
    payload["path"].append("later")
    assert (await handle.get_instance()).context == {"path": ["start"]}


@pytest.mark.parametrize(
    ("payload", "path"),
    [
        ({"path": [datetime(2026, 1, 1, tzinfo=UTC)]}, "payload.path[0]"),
        ({"path": {"deep": {1, 2}}}, "payload.path.deep"),
        ({"path": [float("nan")]}, "payload.path[0]"),
        ({"path": [lambda: None]}, "payload.path[0]"),
        (["path"], "payload"),
    ],
)
async def test_19_what_is_no_json_is_refused_at_submit_with_its_path(drawn, started, payload, path):
    workflow = chain(drawn)
    runtime = await started(workflow)
    with pytest.raises(InvalidValue) as refused:
        await workflow.submit(runtime, payload)
    assert refused.value.path == path
    assert await runtime.count_instances() == {(): 0}


async def test_20_a_changed_diagram_under_its_old_version_is_refused_and_names_the_step(drawn, started):
    await started(chain(drawn))
    with pytest.raises(DefinitionChanged, match=r"what differs: state 'one', state 'two'") as refused:
        await started(shorter(drawn, SHORTER.replace(" · v2", "")))
    assert refused.value.states == ("one", "two")


async def test_20_old_instances_finish_on_their_version_where_the_new_class_has_their_steps(drawn, started):
    longer = CHAIN.replace("title: chain", "title: chain · v2").replace(
        "three --> [*]", "three --> four\n four --> [*]"
    )
    payloads = CHAIN_PAYLOADS + "\n\nclass FourPayload(TypedDict): ..."
    base = drawn(longer, payloads=payloads).ChainBase

    class Chain(base):  # type: ignore[misc,valid-type]
        async def one(self, payload):
            return payload

        async def two(self, payload):
            return payload

        async def three(self, payload):
            return {}

        async def four(self, payload): ...

    old = chain(drawn)
    before = await started(old)
    first = await old.submit(before, {"path": []})
    after = await started(Chain)
    second = await Chain.submit(after, {"path": []})
    await after.process_runs()
    steps = {
        entry.definition_version: [entry.from_state for entry in reversed(await handle.get_history())][1:]
        for handle in (first, second)
        for entry in await handle.get_history(limit=1)
    }
    assert steps == {"1": ["one", "two", "three"], "2": ["one", "two", "three", "four"]}


async def test_20_where_a_step_of_theirs_is_gone_the_workflow_is_withdrawn_and_names_it(drawn, started):
    old, new = chain(drawn), shorter(drawn)
    waiting = await old.submit(await started(old), {"path": []})
    runtime = await started(new)
    with pytest.raises(WorkflowUnavailable, match=r"version 1 has 1 live instance .* no command 'chain.two'"):
        await new.submit(runtime, {"path": []})
    assert (await waiting.get_instance()).state == "one"


CHAIN_PAYLOADS = """\
from typing import TypedDict


class OnePayload(TypedDict):
    path: list[str]


class TwoPayload(TypedDict):
    path: list[str]


class ThreePayload(TypedDict):
    path: list[str]
"""


def chain(drawn: Any, text: str = CHAIN) -> Any:
    """Three steps that say where they have been."""
    base = drawn(text, payloads=CHAIN_PAYLOADS).ChainBase

    class Chain(base):  # type: ignore[misc,valid-type]
        async def one(self, payload):
            return {"path": [*payload["path"], "one"]}

        async def two(self, payload):
            return {"path": [*payload["path"], "two"]}

        async def three(self, payload):
            assert payload["path"] == ["one", "two"]

    return Chain
