"""What can be done with a runtime, for one caller: the verbs that the runtime itself and every service share."""

from abc import ABC, abstractmethod

from detent.runtime.caller import Caller
from detent.runtime.running import Running


class Verbs(ABC):
    """A group of verbs over a running runtime."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    @abstractmethod
    def running(self) -> Running:
        """The runtime's parts. Raises `NotStarted`."""
        ...

    @property
    def tenant(self) -> str | None:
        """The tenant it is bound to; `None` sees the instances of every tenant."""
        return self._caller.tenant

    @property
    def lent(self) -> object | None:
        """The transaction of the caller that it works in; `None` where every call commits."""
        return self._caller.connection
