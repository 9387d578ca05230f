"""All cases, in the order in which they run and stand in the table."""

from benchmarks.case import Case
from benchmarks.cases.creation import CREATION
from benchmarks.cases.durable import FIVE_STEPS, ONE_STEP
from benchmarks.cases.events import SEEN, UNSEEN
from benchmarks.cases.flows import FLOW
from benchmarks.cases.idle import IDLE
from benchmarks.cases.imports import IMPORTS
from benchmarks.cases.local import MEMORY, MEMORY_CREATION, SQLITE
from benchmarks.cases.one_instance import ONE_INSTANCE
from benchmarks.cases.over_http import OVER_HTTP
from benchmarks.cases.reads import HISTORY, LISTS
from benchmarks.cases.size import SIZES
from benchmarks.cases.timers import TIMERS
from benchmarks.cases.transactions import COMMANDED, LENT

CASES: tuple[Case, ...] = (
    *SEEN,
    *UNSEEN,
    ONE_INSTANCE,
    CREATION,
    LENT,
    COMMANDED,
    ONE_STEP,
    FIVE_STEPS,
    FLOW,
    TIMERS,
    IDLE,
    *OVER_HTTP,
    HISTORY,
    *LISTS,
    *SIZES,
    MEMORY,
    MEMORY_CREATION,
    *SQLITE,
    *IMPORTS,
)
