"""Our tree of a state diagram in the shape of Mermaid's own `doc`, to compare the two."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from detent.notation.mermaid_reader.source import BLANKS, ENTITY_END, ENTITY_START
from detent.notation.mermaid_reader.tree import (
    EDGE,
    Accessible,
    Arrow,
    Composite,
    Divider,
    Look,
    Name,
    Note,
    Pseudo,
    Statement,
    Titled,
    Word,
)


def doc(statements: Sequence[Statement]) -> list[Any]:
    """What Mermaid answers for these statements, random ids counted instead."""
    dividers = itertools.count(1)
    return [
        hidden(each)
        for each in _translated([_statement(each, dividers) for each in statements], "root", itertools.count(1))
    ]


def hidden(value: Any) -> Any:
    """The value with entities as Mermaid hides them."""
    if isinstance(value, str):
        parts = value.split(ENTITY_START)
        rest = [f"ﬂ°{'°' if part.partition(ENTITY_END)[0].isdigit() else ''}{part}" for part in parts[1:]]
        return "".join([parts[0], *rest]).replace(ENTITY_END, "¶ß")
    if isinstance(value, list):
        return [hidden(each) for each in value]
    return {key: hidden(each) for key, each in value.items()} if isinstance(value, dict) else value


def _statement(each: Statement, dividers: Iterator[int]) -> Any:
    match each:
        case Name():
            return _name(each)
        case Arrow(source, target, _, label):
            relation = {"stmt": "relation", "state1": _name(source), "state2": _name(target)}
            return relation if label is None else {**relation, "description": label}
        case Pseudo(id_, kind):
            return {"stmt": "state", "id": id_, "type": kind}
        case Titled(id_, title, _, more):
            return _state(id_, title if more is None else [title, more.partition(":")[0]])
        case Composite(id_, body, _, title):
            return {**_state(id_, title or ""), "doc": [_statement(inner, dividers) for inner in body]}
        case Divider():
            return {"stmt": "state", "id": f"divider-id-{next(dividers)}", "type": "divider"}
        case Note(id_, side, text):
            return {"stmt": "state", "id": id_, "note": {"position": side, "text": text}}
        case Word(text) | Accessible(_, text):
            return text
        case Look():
            return _look(each)


def _name(name: Name) -> dict[str, Any]:
    return _state(name.id, name.text or "") | ({"classes": list(name.classes)} if name.classes else {})


def _state(id_: str, description: Any) -> dict[str, Any]:
    return {"stmt": "state", "id": id_, "type": "default", "description": description}


def _look(look: Look) -> Any:
    match look.kind:
        case "direction":
            return {"stmt": "dir", "value": look.subject}
        case "classDef":
            return {"stmt": "classDef", "id": look.subject, "classes": look.value}
        case "class":
            return {"stmt": "applyClass", "id": look.subject, "styleClass": look.value}
        case "style":
            return {"stmt": "style", "id": look.subject, "styleClass": look.value}
        case "click":
            return {"stmt": "click", "id": _state(look.subject, ""), "url": look.value, "tooltip": look.more}
        case "floating":
            return "note "
        case _:
            return look.value


def _translated(statements: list[Any], parent: str, regions: Iterator[int]) -> list[Any]:
    """What Mermaid does once all is read: the start and end get ids of their own, regions a state each."""
    grouped: list[Any] = []
    current: list[Any] = []
    for each in statements:
        if isinstance(each, dict) and each.get("type") == "divider":
            grouped.append({**each, "doc": current})
            current = []
        else:
            current.append(each)
    if grouped and current:
        grouped.append({"stmt": "state", "id": f"region-auto-{next(regions)}", "type": "divider", "doc": current})
        statements = grouped
    return [_in(parent, each, regions) for each in statements]


def _in(parent: str, each: Any, regions: Iterator[int], first: bool = True) -> Any:
    if not isinstance(each, dict) or each["stmt"] not in ("relation", "state"):
        return each
    if each["stmt"] == "relation":
        ends = {"state1": _in(parent, each["state1"], regions), "state2": _in(parent, each["state2"], regions, False)}
        return {**each, **ends}
    id_ = f"{parent}_{'start' if first else 'end'}" if each["id"] == EDGE else each["id"].strip(BLANKS)
    named = {**each, "id": id_} | ({"start": first} if each["id"] == EDGE else {})
    return {**named, "doc": _translated(each["doc"], id_, regions)} if "doc" in each else named
