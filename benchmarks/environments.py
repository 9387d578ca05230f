"""An environment for each peer, made and cached by uv, so that nobody's dependencies meet anybody else's."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmarks.peer_list import PACKAGES, WORKS
from benchmarks.plan import Entry
from benchmarks.running import ROOT, last_line

_PATIENCE = 300
"""Seconds that installing one peer may take."""


def command_in(peer: str, *arguments: str, uv: str) -> tuple[str, ...]:
    """How to run this Python with `arguments` where the peer's packages are, and nothing of ours but the source."""
    wanted = [word for package in PACKAGES[peer] for word in ("--with", package)]
    start = (uv, "run", "--quiet", "--isolated", "--no-project", "--no-env-file", "--python", _interpreter())
    return (*start, *wanted, "python", *arguments)


def peer_command(entry: Entry, uv: str) -> tuple[str, ...]:
    """How a peer's work is measured."""
    work = next(work for work in WORKS if work.name == entry.name)
    return command_in(work.peer, "-m", work.module, work.word, uv=uv)


def prepare(peers: Iterable[str], uv: str | None) -> dict[str, str]:
    """Install what each peer needs; answers why those cannot run that could not be installed."""
    if uv is None:
        return dict.fromkeys(peers, "uv was not found, which makes the peers' environments")
    return {peer: reason for peer in peers if (reason := _install(peer, uv)) is not None}


def _install(peer: str, uv: str) -> str | None:
    try:
        subprocess.run(
            command_in(peer, "-c", "", uv=uv), check=True, capture_output=True, text=True, cwd=ROOT, timeout=_PATIENCE
        )
    except subprocess.TimeoutExpired:
        return f"not installed within {_PATIENCE} s"
    except subprocess.CalledProcessError as error:
        return last_line(error.stderr) or "could not be installed"
    return None


def find_uv(environment: Mapping[str, str] = os.environ) -> str | None:
    """The uv that runs us, the one on PATH, or the one that make put into `.venv-uv`."""
    private = ROOT / ".venv-uv/bin/uv"
    return environment.get("UV") or shutil.which("uv") or (str(private) if private.exists() else None)


def _interpreter() -> str:
    """The Python that our environment was made from: a link into the environment would bring its packages along."""
    return str(Path(sys.executable).resolve())
