"""Findings in SARIF 2.1.0, which code scanning and editors show at the line they are about."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from detent.definition.places import Place
from detent.json_values import JsonObject
from detent.problems import Problem

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem and where it is."""

    file: str | None
    """The path of the file; `None` for standard input."""
    problem: Problem
    place: Place | None


def sarif_log(findings: Iterable[Finding]) -> JsonObject:
    """The log of one run, as JSON values."""
    results: list[JsonObject] = []
    rules: dict[str, JsonObject] = {}
    for finding in findings:
        code = finding.problem.code
        rules.setdefault(code, {"id": code, "shortDescription": {"text": code.replace("_", " ")}})
        results.append(_result(finding, list(rules).index(code)))
    driver = {"name": "detent", "version": version("detent"), "rules": list(rules.values())}
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _result(finding: Finding, rule: int) -> JsonObject:
    problem = finding.problem
    said = problem.message + (f" ({problem.hint})" if problem.hint else "")
    identity = "\0".join([finding.file or "-", problem.code, problem.path, problem.message])
    return {
        "ruleId": problem.code,
        "ruleIndex": rule,
        "level": problem.severity,
        "message": {"text": said},
        "locations": [_location(finding)],
        # What keeps it the same finding when lines are put in above it.
        "partialFingerprints": {"problem/v1": hashlib.sha256(identity.encode()).hexdigest()},
    }


def _location(finding: Finding) -> JsonObject:
    location: dict[str, Any] = {}
    if finding.file is not None:
        location["physicalLocation"] = {"artifactLocation": {"uri": _uri(finding.file)}}
        if finding.place is not None:
            line, column = finding.place
            location["physicalLocation"]["region"] = {"startLine": line, "startColumn": column}
    if finding.problem.path:
        location["logicalLocations"] = [{"fullyQualifiedName": finding.problem.path}]
    return location


def _uri(file: str) -> str:
    path = Path(file)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())
