"""The proof of a store: every promise of `detent.store.protocol` as a test, one file per topic. Needs pytest.

```python
class TestMyStore(StoreContract):
    @pytest.fixture
    async def kit(self) -> AsyncIterator[StoreKit]:
        async with opened_and_empty() as store:
            yield StoreKit(store=store, lend=..., savepoint=..., note=..., noted=...)
```

Each test asks for a kit with an empty store. A store that does not promise a topic declines it in `StoreKit.declines`.
Tests and fixtures are coroutines, to be run by pytest-asyncio.
"""

import pytest

# Asserts of these files explain themselves like those of any test, once pytest hears of the files before they load.
pytest.register_assert_rewrite(
    *(f"{__name__}.{name}" for name in ("samples", "instances", "history", "changes", "receipts", "races")),
    *(f"{__name__}.{name}" for name in ("together", "applying", "applying_inside", "transactions", "joined")),
    *(f"{__name__}.{name}" for name in ("timers", "row_locks", "sharing", "time", "finding", "counting", "archiving")),
    *(f"{__name__}.{name}" for name in ("definitions", "cancellation", "runtime", "runs", "claims", "leases")),
    *(f"{__name__}.{name}" for name in ("effects", "inbox", "outbox", "signals", "far_signals", "backlog")),
    f"{__name__}.values",
)

from detent.testing.store_contract.applying import ApplyContract  # noqa: E402
from detent.testing.store_contract.applying_inside import ApplyInsideContract  # noqa: E402
from detent.testing.store_contract.archiving import ArchiveContract  # noqa: E402
from detent.testing.store_contract.backlog import BacklogContract  # noqa: E402
from detent.testing.store_contract.cancellation import CancellationContract  # noqa: E402
from detent.testing.store_contract.changes import ChangeContract  # noqa: E402
from detent.testing.store_contract.claims import ClaimContract  # noqa: E402
from detent.testing.store_contract.counting import CountContract  # noqa: E402
from detent.testing.store_contract.definitions import DefinitionContract  # noqa: E402
from detent.testing.store_contract.effects import EffectContract  # noqa: E402
from detent.testing.store_contract.far_signals import FarSignalContract  # noqa: E402
from detent.testing.store_contract.finding import FindContract  # noqa: E402
from detent.testing.store_contract.history import HistoryContract  # noqa: E402
from detent.testing.store_contract.inbox import InboxContract  # noqa: E402
from detent.testing.store_contract.instances import InstanceContract  # noqa: E402
from detent.testing.store_contract.joined import JoinedContract  # noqa: E402
from detent.testing.store_contract.kit import StoreKit, Topic  # noqa: E402
from detent.testing.store_contract.leases import LeaseContract  # noqa: E402
from detent.testing.store_contract.outbox import OutboxContract  # noqa: E402
from detent.testing.store_contract.races import RaceContract  # noqa: E402
from detent.testing.store_contract.receipts import ReceiptContract  # noqa: E402
from detent.testing.store_contract.row_locks import RowLockContract  # noqa: E402
from detent.testing.store_contract.runs import RunContract  # noqa: E402
from detent.testing.store_contract.runtime import RuntimeContract  # noqa: E402
from detent.testing.store_contract.sharing import SharingContract  # noqa: E402
from detent.testing.store_contract.signals import SignalContract  # noqa: E402
from detent.testing.store_contract.time import TimeContract  # noqa: E402
from detent.testing.store_contract.timers import TimerContract  # noqa: E402
from detent.testing.store_contract.together import TogetherContract  # noqa: E402
from detent.testing.store_contract.transactions import TransactionContract  # noqa: E402
from detent.testing.store_contract.values import ValueContract  # noqa: E402

__all__ = ["StoreContract", "StoreKit", "Topic"]


class StoreContract(
    InstanceContract,
    HistoryContract,
    ChangeContract,
    ReceiptContract,
    RaceContract,
    TogetherContract,
    ApplyContract,
    ApplyInsideContract,
    TransactionContract,
    JoinedContract,
    TimerContract,
    RowLockContract,
    SharingContract,
    TimeContract,
    FindContract,
    CountContract,
    ArchiveContract,
    DefinitionContract,
    CancellationContract,
    RuntimeContract,
    RunContract,
    ClaimContract,
    LeaseContract,
    EffectContract,
    InboxContract,
    OutboxContract,
    SignalContract,
    FarSignalContract,
    BacklogContract,
    ValueContract,
):
    """All topics; inherit from it and bring the fixture `kit`."""

    @pytest.fixture(autouse=True)
    def _declined_topics_are_skipped(self, request: pytest.FixtureRequest, kit: StoreKit) -> None:
        topic = request.function.__module__.rpartition(".")[2]
        if topic in kit.declines:
            pytest.skip(f"the store declines the topic {topic!r}")
