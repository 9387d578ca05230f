"""What a measuring process is given by the one that runs it: where its database is, and how long it may take."""

import json
import os
from dataclasses import asdict, dataclass
from typing import Self

from benchmarks.cost import Meter

_VARIABLE = "DETENT_BENCHMARK"


@dataclass(frozen=True, slots=True)
class Given:
    """What one repetition works with."""

    url: str
    """An empty database of its own, `postgresql://…`; empty where the case needs none."""
    folder: str
    """An empty folder of its own, on the same file system as PostgreSQL's data."""
    seconds: float
    """For how long operations are counted."""
    warmup: float
    """For how long they run uncounted before."""
    postmaster: int | None = None
    """The first process of the server."""
    big: str = ""
    """The database with 1,000,000 instances, where the case needs it."""

    @property
    def meter(self) -> Meter:
        """Reads what this process and the server spend."""
        return Meter(self.postmaster)

    def environment(self) -> dict[str, str]:
        """How it is handed over. Not as an argument, which everybody on the machine could read."""
        return {_VARIABLE: json.dumps(asdict(self))}

    @classmethod
    def from_environment(cls) -> Self:
        """What this process was given."""
        return cls(**json.loads(os.environ[_VARIABLE]))
