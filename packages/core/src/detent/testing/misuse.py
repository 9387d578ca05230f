"""What the testing kit raises where a test is written wrongly, as against one that fails."""

from collections.abc import Iterable

from detent.errors import DetentError
from detent.problems import did_you_mean


class HarnessMisused(DetentError):
    """The test itself has a slip: a name that does not exist, an `async with` that is missing.

    No `AssertionError`, so that a test which expects one does not pass because of a misspelt name.
    """

    code = "harness_misused"


class NeverAtRest(DetentError):
    """Timeouts went on firing, or runs and messages went on leading to others, beyond any bound."""

    code = "never_at_rest"

    def __init__(self, at_most: int, last: str) -> None:
        super().__init__(
            f"more than {at_most} timeouts or pieces of work came up in one go, the last one being {last}",
            hint="states that lead back to each other by durable entries, or one that is entered again with a deadline in "
            "the past, never come to rest; else raise at_most= of advance()",
        )
        self.at_most = at_most


def check_known(kind: str, name: str, known: Iterable[str], where: str) -> None:
    """Raise `HarnessMisused` with the near misses where `name` is not among `known`."""
    names = tuple(known)
    if name not in names:
        raise HarnessMisused(f"{where} has no {kind} {name!r}", hint=did_you_mean(name, names))
