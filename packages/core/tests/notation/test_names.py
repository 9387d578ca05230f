"""Names may be anything: none breaks a diagram, none is mistaken for another, none reaches HTML."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detent.definition.model import WorkflowDefinition
from detent.notation.mermaid import to_mermaid
from detent.notation.mermaid_text import RESERVED, Ids, is_safe

KEYWORDS = """
    end graph subgraph style click class classDef linkStyle flowchart flowchart-elk call href state note default direction
    scale o x v start fork join choice root_start root_end _start accTitle accDescr title hide LR TB TD direction_LR
    constructor __proto__ prototype toString hasOwnProperty valueOf isPrototypeOf toLocaleString propertyIsEnumerable
    undefined null true stateDiagram-v2 end2 endstate notebook styled default_x interpolate as on enter fails after at if
    else not and or all any detent _self _blank
""".split()  # noqa: SIM905 - a list of words
SIGNS = [
    "[*]", "[H]", "<<choice>>", "[[fork]]", "--", "---", "-->", "a --> b", "a-->b", "{", "}", "state X {", "(", ")",
    "((x))",
    "[x]", "{{x}}", ">x]", "|x|", ":", "::", ":::hot", "a:b", "a : b", ";", "a;b", "a;", "%%", "%% gone",
    "%%{init: {}}%%",
    "50%", "#", "#35;", "#quot;", "#", "&amp;", "&", "a & b", '"', '""', "it's", "`code`", '"`**bold**`"', "*",
    "**b**", "_i_",
    "__b__", "a_b", "_", "~~s~~", "1. first", "1) first", "- list", "+ list", "* list", "# heading", "> quote",
    "a\n---\nb",
    "[text](http://x.y)", "![i](x)", "www.example.com", "http://example.com", "a@b.example", "fa:fa-user", "$$x^2$$",
    "$go",
    "<b>", "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "</text>", '<a href="x">y</a>', "<!-- -->",
    "<br/>",
    "javascript:alert(1)", "\\", "\\n", "a\\nb", "\\u0041", "a\nb", "a\rb", "a\tb", "\n", " ", "  ", "", " a", "a ",
    "a  b", "a b",
    "a-b", "a.b", "a,b", "a/b", "a+b", "a=b", "a?b", "a!b", "a'b", "a|b", "a~b", "a^b", "a@b", "a(b)", "a[b]",
    "a{b}", "A_B", "A b",
    "\x00", "\x1b[31m", "\x7f", "\u00a0", "\u200b", "\u202egnp.exe", "\ufeff", "\u2028", "\ufffd", "é", "e\u0301",
    "ﬂ", "ﬂ°°35¶ß",
    "¶ß", "支払い待ち", "支払い", "Оплата", "مدفوع", "हिन्दी", "🚀", "👩‍💻", "✅ done", "état", "ß", "İ", "direction LR",
    "my direction", "redirection",
    "LRU", "direction\nTB", "note right of a", "end note", "style a fill:#f00;", "classDef x fill:#f00;",
    "click a call f()",
    "accTitle: x", "title: x", "graph TD", "1", "007", "1.5", "-1", "x" * 300, "word " * 60, "s_1", "s", "s_2",
    "s_a_b", "s_a_b_2",
    "s_end", "null", "~", "on enter", "on enter fails", "not declared", "now", "a fails", "Cancel after 14d",
    "a [b]", "a / b",
]  # fmt: skip
TORTURE = list(dict.fromkeys(KEYWORDS + SIGNS))
CHUNK = 16


def workflow_of(names: list[str]) -> WorkflowDefinition:
    """A workflow that uses every name as a state, event, command, guard and path, in a ring of states."""
    following = dict(zip(names, [*names[1:], names[0]], strict=True))
    states: dict[str, Any] = {
        name: {
            "events": {
                name: {"target": after, "error": name, "guard": {"any_of": [name, after]}, "commands": [name, after]},
                after + "!": {"branches": [{"guard": name, "target": after}], "internal": False},
                after + "?": {"internal": True, "commands": [name], "timeout": {"at": "a.b"}},
            },
            "on_enter": {"commands": [name], "target": after, "error": name},
        }
        for name, after in following.items()
    }
    ends = {"an end": {}, "a failure": {"outcome": "failure"}}
    written = {"name": names[0], "initial_state": names[0], "states": states | ends}
    return WorkflowDefinition.model_validate(written)


@pytest.mark.parametrize("style", ["state", "flowchart"])
@pytest.mark.parametrize("start", range(0, len(TORTURE), CHUNK))
def test_torturous_names_are_drawn_as_they_are(draw: Any, start: int, style: str) -> None:
    draw(workflow_of(TORTURE[start : start + CHUNK]), style=style)


hostile = st.text(
    st.sampled_from("ab_1 .-:;#\"'`<>&%{}[]()*\n\\/|~$!@ﬂ¶ß\u200b\u00a0é支🚀") | st.characters(codec="utf-8"),
    max_size=12,
)
written = hostile | st.sampled_from(TORTURE)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(written, min_size=1, max_size=6, unique=True), style=st.sampled_from(["state", "flowchart"]))
def test_no_mixture_of_names_breaks_a_diagram(draw: Any, names: list[str], style: str) -> None:
    draw(workflow_of(names), style=style)


@given(st.lists(written, unique=True, max_size=20))
def test_ids_are_safe_and_never_shared(names: list[str]) -> None:
    ids = Ids(names)
    given = [ids[name] for name in names] + [ids.of_event(name, event) for name in names for event in names]
    assert len(set(given)) == len(given)
    assert all(is_safe(each) for each in given)


def test_a_plain_name_is_its_own_id() -> None:
    ids = Ids(["in_transit", "end", "s_end"])
    assert ids["in_transit"] == "in_transit"
    assert ids["end"] == "s_end_2"


def test_keywords_are_reserved_in_any_case() -> None:
    assert not any(is_safe(spelling) for word in RESERVED for spelling in (word, word.upper(), word.capitalize()))


@pytest.mark.parametrize("style", ["state", "flowchart"])
def test_no_diagram_can_carry_html_or_anything_invisible(style: Any) -> None:
    for name in TORTURE:
        text = to_mermaid(workflow_of([name, "plain"]), style=style)
        assert not set(text) & set("<&")
        assert all(char.isprintable() or char == "\n" for char in text)
