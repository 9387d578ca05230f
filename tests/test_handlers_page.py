"""`docs/handlers.md` names every ready handler, and every key of its config."""

import re
from pathlib import Path
from typing import Any

import pytest

from detent.flows import Handlers
from detent_handlers import all_handlers
from detent_handlers.email import EmailHandler

PAGE = (Path(__file__).parents[1] / "docs" / "handlers.md").read_text("utf-8")
SECTIONS = {part.partition("\n")[0]: part for part in PAGE.split("\n### ")[1:]}
READY = Handlers(all_handlers(EmailHandler("mail.test", sender="a@mail.test")))
OTHER_NAMES = {alias: spec.type for spec in READY for alias in spec.aliases}
"""Aliases, FlowMonkey's types, of handlers that have a section under ours."""
MANIFEST = {told["type"]: told["config_schema"] for told in READY.manifest()["handlers"]}


def keys_of(schema: dict[str, Any]) -> set[str]:
    """The keys that a config may have, in any of its forms."""
    parts = [schema, *(schema.get("$defs", {}).values() if "oneOf" in schema or "anyOf" in schema else ())]
    return {re.sub(r"(?<!^)([A-Z])", r"_\1", key).lower() for part in parts for key in part.get("properties", {})}


def test_every_section_is_a_handler_and_every_handler_has_one():
    assert set(SECTIONS) == set(MANIFEST)


def test_other_names_are_told():
    assert OTHER_NAMES.keys() == {"batch.process", "batch-process", "conditional", "sub-flow"}
    assert [name for name, ours in OTHER_NAMES.items() if f"`{name}`" not in SECTIONS[ours]] == []


@pytest.mark.parametrize("type_", sorted(SECTIONS))
def test_every_key_of_a_config_is_in_its_table(type_: str):
    keys = keys_of(MANIFEST[type_])
    assert keys
    assert [key for key in sorted(keys) if f"`{key}`" not in SECTIONS[type_]] == []
