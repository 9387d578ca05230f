"""The colours of diagrams. Each repeats what a word, a frame or a stroke says already, so none is needed to read one.

Every fill brings its own text colour, with a contrast of at least 4.5 to 1, so that the boxes are read on light and on
dark pages; strokes keep 3 to 1 on both. What has no class keeps the look of the page's Mermaid theme.
"""

from collections.abc import Iterable, Mapping

from detent.notation.chart import Box
from detent.notation.mermaid_text import Ids

CLASSES = {
    "now": "fill:#fef3c7,stroke:#b45309,stroke-width:4px,color:#451a03",
    "been": "fill:#e0f2fe,stroke:#0369a1,stroke-width:2px,color:#0c4a6e",
    "undeclared": "fill:#fff7ed,stroke:#c2410c,stroke-dasharray:4 4,color:#7c2d12",
    "success": "fill:#dcfce7,stroke:#15803d,color:#14532d",
    "failure": "fill:#fee2e2,stroke:#b91c1c,color:#7f1d1d",
    "cancelled": "fill:#e2e8f0,stroke:#475569,color:#1e293b",
    "trouble": "fill:#fff1f2,stroke:#e11d48,color:#881337",
    "start": "fill:#64748b,stroke:#64748b,color:#64748b",
    "event": "fill:#f8fafc,stroke:#64748b,color:#1e293b",
    "timer": "fill:#fffbeb,stroke:#b45309,stroke-width:2px,color:#78350f",
}
"""The look of a box, by its class."""
LINK_STYLES = {
    "taken": "stroke:#16a34a",
    "failed": "stroke:#dc2626,stroke-dasharray:6 4",
}
"""The look of an arrow of a flowchart, by its kind; the others have the theme's."""


def link_look(kind: str, *, walked: bool = False) -> str:
    """The look of an arrow, which is thick where the marked instance went along it; empty for the theme's."""
    colour = LINK_STYLES.get(kind, "")
    width = "stroke-width:5px" if walked else "stroke-width:2px" if colour else ""
    return ",".join(filter(None, [colour, width]))


def box_classes(boxes: Iterable[Box], ids: Ids) -> dict[str, list[str]]:
    """The ids of the boxes that have a class, by class."""
    found: dict[str, list[str]] = {}
    for box in boxes:
        name = class_of(box)
        if name:
            found.setdefault(name, []).append(ids[box.name])
    return found


def class_lines(members: Mapping[str, list[str]]) -> list[str]:
    """The statements that give each id its class; none for a class nobody has."""
    used = [name for name in CLASSES if members.get(name)]
    return [
        *(f"classDef {name} {CLASSES[name]}" for name in used),
        *(f"class {','.join(members[name])} {name}" for name in used),
    ]


def class_of(box: Box) -> str | None:
    """What matters most about the box: where the instance is, then what the state means."""
    if box.current:
        return "now"
    if not box.declared:
        return "undeclared"
    if box.visits:
        return "been"
    if box.terminal:
        return box.outcome or "success"
    if box.waits:
        return "timer"
    return "trouble" if box.faulty else None
