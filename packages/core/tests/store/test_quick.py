"""Frozen records that are made quickly are like any others."""

import copy
import inspect
import pickle
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, replace

import pytest

from detent.store.change import Change
from detent.store.quick import quickly_made
from detent.store.records import CommandRecord, HistoryEntry, Receipt, ReceiptKey, Timer, WorkflowInstance


@dataclass(frozen=True, slots=True)
class Plain:
    """A point."""

    x: int
    y: int = 0
    seen: list[int] = field(default_factory=list)


@quickly_made
@dataclass(frozen=True, slots=True)
class Quick:
    """A point."""

    x: int
    y: int = 0
    seen: list[int] = field(default_factory=list)


@quickly_made
@dataclass(frozen=True, slots=True)
class Checked:
    x: int

    def __post_init__(self):
        if self.x < 0:
            raise ValueError(self.x)


@pytest.mark.parametrize("made", [Plain, Quick])
def test_it_is_made_as_it_is_declared(made):
    assert made(1) == made(x=1, y=0, seen=[])
    assert made(1, 2, [3]) == made(x=1, seen=[3], y=2)
    assert made(1).seen is not made(1).seen
    assert repr(made(1)) == f"{made.__name__}(x=1, y=0, seen=[])"
    assert made.__doc__ == "A point."
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'x'"):
        made()
    with pytest.raises(TypeError, match="unexpected keyword argument 'z'"):
        made(1, z=2)


def test_its_constructor_reads_like_any_other():
    quick, plain = inspect.signature(Quick), inspect.signature(Plain)
    assert list(quick.parameters) == list(plain.parameters)
    assert Quick.__init__.__qualname__ == "Quick.__init__"
    assert Quick.__init__.__annotations__ == Plain.__init__.__annotations__


def test_it_is_frozen_from_its_birth():
    point = Quick(1)
    assert type(point) is Quick
    with pytest.raises(FrozenInstanceError):
        setattr(point, "x", 2)  # noqa: B010 (mypy knows that it cannot be assigned)
    with pytest.raises(FrozenInstanceError):
        delattr(point, "x")
    for other in ("__class__", "z"):
        with pytest.raises((AttributeError, TypeError)):
            setattr(point, other, Plain)
    assert type(point) is Quick


def test_it_can_be_replaced_copied_and_pickled():
    point = Quick(1, 2, [3])
    assert replace(point, y=5) == Quick(1, 5, [3])
    assert copy.deepcopy(point) == pickle.loads(pickle.dumps(point)) == point  # noqa: S301 (made a moment ago)
    assert asdict(point) == {"x": 1, "y": 2, "seen": [3]}


def test_what_it_checks_after_it_was_made_is_checked():
    assert Checked(1).x == 1
    with pytest.raises(ValueError, match="-1"):
        Checked(-1)
    with pytest.raises(ValueError, match="-1"):
        replace(Checked(1), x=-1)


@pytest.mark.parametrize("kind", [WorkflowInstance, HistoryEntry, CommandRecord, Timer, Receipt, ReceiptKey, Change])
def test_every_field_of_a_record_arrives_where_it_belongs(kind):
    class Sequenced:
        version = 0

    values: dict[str, object] = {each.name: Sequenced() for each in fields(kind)}
    if kind is Change:
        values |= {"expected_version": 0, "entries": ()}
    by_name, by_place = kind(**values), kind(*values.values())
    assert all(getattr(made, name) is value for made in (by_name, by_place) for name, value in values.items())
