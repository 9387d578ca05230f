"""The warehouse that packs the orders: one object for the process, in place of a partner's API."""

from dataclasses import dataclass


@dataclass(slots=True)
class Warehouse:
    """It takes every order while its doors are open."""

    open: bool = True

    def refusal(self) -> str | None:
        """Why it takes nothing now; `None` while it does."""
        return None if self.open else "the warehouse is closed today"
