"""For tests of workflows and of stores: a clock that stands still, and the contract of every store.

`detent.testing.store_contract` needs pytest and is imported by itself.
"""

from detent.testing.clock import FakeClock

__all__ = ["FakeClock"]
