"""What the figures were made on."""

import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

OURS = ("detent", "detent-pg", "pydantic", "transitions", "sqlalchemy", "asyncpg", "litestar", "fastapi", "uvicorn")
"""The packages whose versions matter to our figures."""


def machine(folder: Path) -> dict[str, str | int | float]:
    """The machine, and the file system that holds `folder`."""
    return {
        "cores": _cores(),
        "processor": _line_of("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": f"{platform.system()} {platform.release()}",
        "file_system": file_system(folder),
        "load_before": round(os.getloadavg()[0], 2),
    }


def versions(peers: Mapping[str, str]) -> dict[str, str]:
    """Of Python, of our packages, and of the peers'."""
    return {"python": platform.python_version(), **{name: version(name) for name in OURS}, **peers}


def file_system(folder: Path) -> str:
    """What kind holds a folder: `tmpfs` would make fsync cost nothing. `unknown` where nobody tells."""
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return "unknown"
    real = folder.resolve()
    holding = [(len(mount[1]), mount[2]) for mount in mounts if real.is_relative_to(mount[1])]
    return max(holding)[1] if holding else "unknown"


def _cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _line_of(path: str, key: str) -> str | None:
    """What stands behind the first `key:` in a file."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), None)
