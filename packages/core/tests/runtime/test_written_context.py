"""What commands write to the context is told apart from what was there, whichever way they write it."""

import pytest

from detent.runtime.written_context import WrittenContext

WAYS = {
    "assignment": (lambda context: context.__setitem__("a", 2), {"a"}, {"a": 2, "b": 1}),
    "deletion": (lambda context: context.__delitem__("a"), {"a"}, {"b": 1}),
    "update": (lambda context: context.update({"a": 2}, c=3), {"a", "c"}, {"a": 2, "b": 1, "c": 3}),
    "union": (lambda context: context.__ior__({"c": 3}), {"c"}, {"a": 1, "b": 1, "c": 3}),
    "default": (lambda context: context.setdefault("a", 5), {"a"}, {"a": 1, "b": 1}),
    "new default": (lambda context: context.setdefault("c", 5), {"c"}, {"a": 1, "b": 1, "c": 5}),
    "pop": (lambda context: context.pop("a"), {"a"}, {"b": 1}),
    "pop nothing": (lambda context: context.pop("c", None), {"c"}, {"a": 1, "b": 1}),
    "pop the last": (lambda context: context.popitem(), {"b"}, {"a": 1}),
    "clear": (lambda context: context.clear(), {"a", "b"}, {}),
}


@pytest.mark.parametrize(("write", "written", "left"), WAYS.values(), ids=WAYS)
def test_every_way_to_write_counts(write, written, left):
    context = WrittenContext({"a": 1, "b": 1})
    assert context.written == set()
    write(context)
    assert (set(context.written), dict(context)) == (written, left)
