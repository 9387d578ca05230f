"""For tests of workflows and flows: harnesses with a clock that stands still, stubs, paths through definitions, their coverage.

`detent.testing.strategies` needs hypothesis, `detent.testing.plugin` is pytest's, and `detent.testing.store_contract`, the
contract of every store, needs pytest; each is imported by itself.
"""

from detent.testing.clock import FakeClock
from detent.testing.coverage import TransitionCoverage
from detent.testing.flow_harness import FlowHarness
from detent.testing.handler_calls import HandlerCall
from detent.testing.harness import WorkflowHarness
from detent.testing.misuse import HarnessMisused, NeverAtRest
from detent.testing.paths import GuardVerdict, How, SimplePath, Step, simple_paths
from detent.testing.published import Published
from detent.testing.recorder import Call
from detent.testing.ways import Route, Way
from detent.testing.working import WorkReport

__all__ = [
    "Call",
    "FakeClock",
    "FlowHarness",
    "GuardVerdict",
    "HandlerCall",
    "HarnessMisused",
    "How",
    "NeverAtRest",
    "Published",
    "Route",
    "SimplePath",
    "Step",
    "TransitionCoverage",
    "Way",
    "WorkReport",
    "WorkflowHarness",
    "simple_paths",
]
