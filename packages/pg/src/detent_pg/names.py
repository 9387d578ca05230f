"""What the tables are called: a prefix, a schema, or both."""

import hashlib
import re
from dataclasses import dataclass

from detent.errors import InvalidValue

_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]*")
_LONGEST = {"prefix": 24, "schema": 63}  # PostgreSQL cuts names at 63 bytes, and ours grow behind the prefix.


@dataclass(frozen=True, slots=True)
class Names:
    """Where the tables live. Only lower-case letters, digits and underscores, so that a name is safe in any SQL."""

    prefix: str = "detent_"
    """What every table's name starts with; may be empty where a schema of their own keeps them apart."""
    schema: str | None = None
    """The PostgreSQL schema; `None` means the first one on the connection's `search_path`."""

    def __post_init__(self) -> None:
        if self.prefix:
            _check("prefix", self.prefix)
        if self.schema is not None:
            _check("schema", self.schema)

    @property
    def upgrade(self) -> str:
        """The command that brings these tables up to date."""
        place = f" --schema {self.schema}" if self.schema else ""
        prefix = "" if self.prefix == "detent_" else " --prefix " + (self.prefix or "''")
        return f"detent db upgrade{place}{prefix}"

    @property
    def channel(self) -> str:
        """The channel of notices; always short enough for PostgreSQL."""
        digest = hashlib.blake2b((self.schema or "").encode(), digest_size=8, person=b"detent_pg").hexdigest()
        return f"{self.prefix}signals_{digest}"

    def quoted(self, table: str) -> str:
        """The table's full name, for SQL that is text."""
        place = f'"{self.schema}".' if self.schema else ""
        return f'{place}"{self.prefix}{table}"'


def _check(what: str, name: str) -> None:
    if not _IDENTIFIER.fullmatch(name) or len(name) > _LONGEST[what]:
        raise InvalidValue(
            what, f"must be at most {_LONGEST[what]} lower-case letters, digits and underscores, not {name!r}"
        )
