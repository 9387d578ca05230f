"""A plugin for pytest: fixtures, and the coverage of transitions.

The `conftest.py` at the root of the tests asks for it by `pytest_plugins = ["detent.testing.plugin"]`, and has then:

    workflow_clock      a `FakeClock`
    workflow_harness    makes harnesses on that clock: `async with workflow_harness(order) as harness:`

    --workflow-coverage              lists, at the end, which transitions of which definition no test has taken
    --workflow-coverage-at-least=N   the same, and fails the run below N percent

The fixtures are not coroutines, so that they serve under pytest-asyncio, anyio and anything else alike. Nothing is counted
or kept unless an option asks for it. It is no entry point, because those load, and all of `detent` with them, at the start of
every run of pytest wherever it is installed.
"""

import json
from collections.abc import Iterable
from typing import Any, Protocol

import pytest

from detent.definition.model import WorkflowDefinition
from detent.testing.clock import FakeClock
from detent.testing.coverage import LISTENERS, CoverageSum, TransitionCoverage
from detent.testing.harness import WorkflowHarness

_NAME = "detent-workflow-coverage"
_OUTPUT = "detent_workflow_coverage"
"""The key under which a worker of pytest-xdist hands over what it saw."""


class HarnessFactory(Protocol):
    """What the fixture `workflow_harness` is."""

    def __call__(
        self, definitions: WorkflowDefinition | Iterable[WorkflowDefinition], **options: Any
    ) -> WorkflowHarness:
        """A harness on the test's clock, to be entered; `options` are those of `WorkflowHarness`."""
        ...


@pytest.fixture
def workflow_clock() -> FakeClock:
    """A clock that stands still until it is moved."""
    return FakeClock()


@pytest.fixture
def workflow_harness(workflow_clock: FakeClock) -> HarnessFactory:
    """Makes harnesses that share the test's `workflow_clock`; takes what `WorkflowHarness` takes."""

    def make(definitions: WorkflowDefinition | Iterable[WorkflowDefinition], **options: Any) -> WorkflowHarness:
        return WorkflowHarness(definitions, **{"clock": workflow_clock, **options})

    return make


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the two options."""
    group = parser.getgroup("detent", "workflows")
    group.addoption(
        "--workflow-coverage",
        action="store_true",
        help="list which transitions of workflow definitions the tests have taken",
    )
    group.addoption(
        "--workflow-coverage-at-least",
        type=float,
        metavar="PERCENT",
        help="the same, and fail where a definition stays below this share",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Starts listening where an option asks for it."""
    at_least = config.getoption("--workflow-coverage-at-least")
    if config.getoption("--workflow-coverage") or at_least is not None:
        config.pluginmanager.register(CoverageReport(at_least), _NAME)


class CoverageReport:
    """Listens to every harness of this process and of its workers, and reports at the end."""

    def __init__(self, at_least: float | None) -> None:
        self._at_least = at_least
        self._sum = CoverageSum()
        LISTENERS.append(self._sum)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Hands over what a worker saw; elsewhere decides whether it was enough."""
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output[_OUTPUT] = json.dumps([coverage.to_dict() for coverage in self._sum.coverages])
        elif self._too_little() and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Takes what a worker saw; one that crashed has handed over nothing."""
        for data in json.loads(getattr(node, "workeroutput", {}).get(_OUTPUT, "[]")):
            self._sum.add(TransitionCoverage.from_dict(data))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Prints a table for each definition that a harness ran."""
        terminalreporter.section("workflow coverage")
        for coverage in self._sum.coverages:
            terminalreporter.write_line(coverage.report())
        if not self._sum.coverages:
            terminalreporter.write_line("no harness was used")
        for coverage in self._too_little():
            line = f"FAILED: {coverage.summary}, and {self._at_least:g} % are asked for"
            terminalreporter.write_line(line, red=True)

    def pytest_unconfigure(self) -> None:
        """Stops listening."""
        LISTENERS.remove(self._sum)

    def _too_little(self) -> list[TransitionCoverage]:
        at_least = self._at_least
        return [] if at_least is None else [found for found in self._sum.coverages if found.percent < at_least]
