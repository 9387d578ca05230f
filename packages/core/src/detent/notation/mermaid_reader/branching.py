"""The ways of one event, and of a choice: guards in order, and what is left over."""

from dataclasses import dataclass

from detent.notation.mermaid_reader.label import Written, is_else, read_by_hand, read_guard


@dataclass(frozen=True, slots=True)
class Way:
    """One of several targets."""

    guard: Written
    """What decides on it; `None` for what is left over."""
    target: str


@dataclass(frozen=True, slots=True)
class Option:
    """What is said on a way out of a choice."""

    text: str
    """The words themselves; empty on the way that is left over."""
    guard: Written = None
    commands: tuple[str, ...] = ()


def option_of(label: str) -> Option | None:
    """The option that a way out of a choice is; `None` where its label cannot be read."""
    if not label or is_else(label):
        return Option("")
    bare = label[3:].strip() if label.casefold().startswith("if ") else label
    said = read_by_hand(bare)
    if said is None or (said.event is not None and said.guard is not None):
        return None
    text = said.event if said.event is not None else bare[bare.index("[") + 1 : bare.index("]")].strip()
    return Option("", None, said.commands) if is_else(text) else Option(text, read_guard(text), said.commands)


def conditions(ways: list[Way], guard: Written) -> dict[str, Written]:
    """The guard, branches and target of an event that has these ways, at most one of them what is left over."""
    left_over = [way for way in ways if way.guard is None]
    guarded = [way for way in ways if way.guard is not None]
    if not left_over:
        anyone = guarded[0].guard if len(guarded) == 1 else {"any_of": [way.guard for way in guarded]}
        guard = anyone if guard is None else {"all_of": [guard, anyone]}
    *first, last = [*guarded, *left_over]
    written: dict[str, Written] = {} if guard is None else {"guard": guard}
    if first:
        written["branches"] = [{"guard": way.guard, "target": way.target} for way in first]
    return {**written, "target": last.target}


def both(outer: Written, inner: Written) -> Written:
    """The guard of a way that two guards decide on."""
    if outer is None or inner is None:
        return inner if outer is None else outer
    return {"all_of": [outer, inner]}
