# ruff: noqa: S603 - npm is whatever the machine has; the arguments are ours
"""Packages of node that tests ask, installed as the lock file of their folder says.

Where something is missing the tests are skipped and say why; in CI (`CI` is set) they fail instead.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

INSTALL_SECONDS = 300


def installed(folder: Path) -> Path:
    """The `node_modules` of the folder, made once; further pytest processes wait for the first."""
    missing = [tool for tool in ("node", "npm") if not shutil.which(tool)]
    if missing:
        give_up(f"{' and '.join(missing)} not found: the tests in {folder.name} ask packages of node")
    locked = (folder / "package-lock.json").read_bytes()
    modules, wanted = folder / "node_modules", hashlib.sha256(locked).hexdigest()
    stamp = modules / ".installed"
    with (folder / "package.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == wanted:
            return modules
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        try:
            subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS)
        except (subprocess.SubprocessError, OSError) as error:
            give_up(f"`npm ci` in tests/{folder.name} failed: {error} {getattr(error, 'stderr', '') or ''}")
        stamp.write_text(wanted)
    return modules


def give_up(reason: str) -> NoReturn:
    """Skip, or in CI fail."""
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
