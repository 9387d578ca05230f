from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from detent.definition import Selector, put, select
from detent.definition.selectors import keys_read
from detent.errors import InvalidValue

CONTEXT = {
    "id": 7,
    "paid": True,
    "note": None,
    "a.b": "dotted",
    "order": {"lines": [{"sku": "x"}, {"sku": "y"}], "total": 9.5},
}
ADAPTER: TypeAdapter[Any] = TypeAdapter(Selector)


def _selected(written: Any, context: Any = CONTEXT) -> Any:
    return select(ADAPTER.validate_python(written), context)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ({"key": "id"}, 7),
        ({"key": "a.b"}, "dotted"),
        ({"key": "nothing"}, None),
        ({"keys": ["id", "note", "nothing"]}, {"id": 7, "note": None}),
        ({"path": "order.lines.1.sku"}, "y"),
        ({"path": "order.lines.2.sku"}, None),
        ({"path": "order.lines.-1.sku"}, None),
        ({"path": "note.deeper"}, None),
        ({"path": "id.__class__"}, None),
        ({"full": True}, CONTEXT),
        ({"static": {"any": ["thing", None]}}, {"any": ["thing", None]}),
        ({"static": None}, None),
    ],
)
def test_a_selector_picks_from_the_context(written: Any, value: Any) -> None:
    assert _selected(written) == value


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("${order.total}", 9.5),
        ("${order.lines}", CONTEXT["order"]["lines"]),  # type: ignore[index]
        ("${nothing}", None),
        ("order ${id}: ${order.total}", "order 7: 9.5"),
        ("[${nothing}]", "[]"),
        ("${note} ${paid}", "null true"),
        ("line ${order.lines.0}", 'line {"sku": "x"}'),
        ({"${id}": ["${id}", "#${id}", 1]}, {"${id}": [7, "#7", 1]}),
        ("${id", "${id"),
        ("$${id}", "$7"),
        ("\\${id} is ${id}", "${id} is 7"),
        ("${nothing:-none}", "none"),
        ("[${nothing:-}] ${note:-none} ${ order.total :-0}", "[] null 9.5"),
        ("${id:?}", 7),
        ("${__class__} ${id.real}", " "),
    ],
)
def test_a_template_is_filled_in(template: Any, value: Any) -> None:
    assert _selected({"template": template}) == value


@pytest.mark.parametrize(
    ("template", "reason"), [("${nothing:?}", "missing"), ("to ${a.nothing:?who is it for}", "who is it for")]
)
def test_a_template_may_insist_on_a_value(template: str, reason: str) -> None:
    with pytest.raises(InvalidValue, match=reason):
        _selected({"template": template})


@pytest.mark.parametrize(
    ("written", "keys"),
    [
        ({"key": "a.b"}, {"a.b"}),
        ({"keys": ["id", "note"]}, {"id", "note"}),
        ({"path": "order.lines.1"}, {"order"}),
        ({"template": {"x": ["${order.total} ${ id :-0}", "\\${note}"], "${paid}": 1}}, {"order", "id"}),
        ({"full": True}, None),
        ({"static": "${order}"}, set()),
    ],
)
def test_it_is_known_what_a_selector_may_read(written: Any, keys: set[str] | None) -> None:
    assert keys_read(ADAPTER.validate_python(written)) == keys


@pytest.mark.parametrize("written", [{"full": True}, {"path": "order"}, {"template": "${order}"}, {"key": "order"}])
def test_what_is_selected_shares_nothing_with_the_context(written: Any) -> None:
    context: dict[str, Any] = {"order": {"lines": []}}
    value = _selected(written, context)
    (value.get("order") or value)["lines"].append("changed")
    assert context == {"order": {"lines": []}}


def test_a_static_value_is_a_new_one_each_time() -> None:
    selector = ADAPTER.validate_python({"static": []})
    select(selector, {}).append("changed")
    assert select(selector, {}) == []


@pytest.mark.parametrize(
    ("path", "context", "after"),
    [
        ("total", {}, {"total": 1}),
        ("a.b.c", {}, {"a": {"b": {"c": 1}}}),
        ("a.b", {"a": {"c": 2}}, {"a": {"c": 2, "b": 1}}),
        ("a", {"a": [1, 2]}, {"a": 1}),
        ("__class__.x", {}, {"__class__": {"x": 1}}),
    ],
)
def test_an_answer_is_put_at_its_path(path: str, context: Any, after: Any) -> None:
    put(context, path, 1)
    assert context == after


@pytest.mark.parametrize(
    ("path", "context"),
    [
        ("a.b", {"a": 5}),
        ("a.b", {"a": None}),
        ("a.0", {"a": [1]}),
        ("a.b.c", {"a": {"b": "text"}}),
        ("", {}),
        ("a.", {}),
    ],
)
def test_a_path_through_something_else_changes_nothing(path: str, context: Any) -> None:
    before = dict(context)
    with pytest.raises(InvalidValue) as caught:
        put(context, path, 1)
    assert caught.value.path == f"context.{path}"
    assert context == before


keys = st.text(alphabet="abc", min_size=1, max_size=3)


@given(st.lists(keys, min_size=1, max_size=5), st.integers())
def test_what_was_put_can_be_selected(steps: list[str], value: int) -> None:
    context: dict[str, Any] = {}
    put(context, ".".join(steps), value)
    assert _selected({"path": ".".join(steps)}, context) == value
