"""Each option of the web packages stands on the page that has them all."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

import detent_fastapi
import detent_litestar

DOCS = Path(__file__).parents[1] / "docs"


def named_in(page: str, heading: str) -> set[str]:
    """The words that stand as code under a heading."""
    section = (DOCS / page).read_text("utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return set(re.findall(r"`(\w+)`", section))


def names_of(*kinds: type) -> set[str]:
    return {field.name for kind in kinds for field in fields(kind)}


def test_the_config_of_litestar_is_told_whole():
    assert names_of(detent_litestar.WorkflowConfig) - named_in("litestar.md", "The config") == set()


def test_the_config_of_fastapi_differs_by_what_its_page_says():
    litestar, fastapi = names_of(detent_litestar.WorkflowConfig), names_of(detent_fastapi.WorkflowConfig)
    assert fastapi - litestar == {"routes"}
    assert litestar - fastapi == {"controllers", "dependency_key", "flows_dependency_key"}


@pytest.mark.parametrize("package", [detent_litestar, detent_fastapi])
def test_the_options_of_the_routes_are_told_whole(package):
    routes = detent_litestar.Controllers if package is detent_litestar else detent_fastapi.WorkflowRoutes
    options = names_of(routes, package.Webhooks, package.Tokens, package.Probes)
    assert options - named_in("rest.md", "Options") == set()
