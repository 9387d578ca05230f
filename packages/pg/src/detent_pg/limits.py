"""How long PostgreSQL lets a step wait."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a step may wait, in seconds; 0 means without end."""

    lock: float
    """For a row that another step holds."""
    statement: float
    """For any one statement inside a transaction of ours."""

    def parameters(self) -> dict[str, object]:
        """As PostgreSQL's settings, in milliseconds."""
        return {"lock_timeout": str(round(self.lock * 1000)), "statement_timeout": str(round(self.statement * 1000))}
