"""mypy and pyright, both as strict as they can be, over the files of a folder."""

import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

ROOT = Path(__file__).parents[1]
Found: TypeAlias = Mapping[str, list[str]]
"""What is wrong, by the name of the file."""

_MYPY = re.compile(r"^(?P<file>[^:]+):\d+: error: (?P<message>.*)$", re.MULTILINE)


def mypy(folder: Path) -> Found:
    """What mypy finds."""
    # A cache of its own: the options are not those of `make check`.
    options = ["--strict", "--no-error-summary", f"--cache-dir={ROOT / '.mypy_cache' / 'generated'}"]
    told = _run(folder, "mypy", *options, *_files(folder))
    found: dict[str, list[str]] = defaultdict(list)
    for match in _MYPY.finditer(told):
        found[Path(match["file"]).name].append(match["message"])
    assert found or not told.strip(), told
    return found


def pyright(folder: Path) -> Found:
    """What pyright finds."""
    (folder / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}', "utf-8")
    told = json.loads(_run(folder, "pyright", "--outputjson", "--pythonpath", sys.executable, *_files(folder)))
    assert told["summary"]["filesAnalyzed"] == len(_files(folder))
    found: dict[str, list[str]] = defaultdict(list)
    for each in told["generalDiagnostics"]:
        found[Path(each["file"]).name].append(each["message"])
    return found


def _files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.py"))


def _run(folder: Path, module: str, *arguments: str) -> str:
    command = [sys.executable, "-m", module, *arguments]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)  # noqa: S603 - ours
    assert ran.returncode in (0, 1), ran.stdout + ran.stderr
    return ran.stdout
