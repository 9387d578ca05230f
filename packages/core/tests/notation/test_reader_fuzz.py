"""Whatever is read: the reader answers or refuses with problems that have a place, and it is never slow about it."""

import random
import re
import time

import pytest
from hypothesis import settings

from detent.errors import DefinitionInvalid
from detent.notation.mermaid_reader import mermaid_blocks, read_mermaid
from detent.problems import Problem
from packages.core.tests.notation.mermaid_samples import SAMPLES

INPUTS = 25 * settings().max_examples
"""2,500, always the same; in `make nightly` 50,000 new ones."""
ARE_NEW = settings().max_examples > 100
SECONDS_FOR_10_KB = 1.0
"""Far more than is needed: it finds what is quadratic, not what runs on a busy machine."""
PLACE = re.compile(r"line \d+, column \d+$")
PIECES = [
    "-->", " --> ", "->", "\n", "\r\n", ":", " : ", "::", ":::", ";", "%%", "%%{", "}%%", "#35;", "#", "{", "}", '"', "'",
    "note right of a : ", "note left of b\n", "end note", "state ", "state X {\n", 'state "x" as y', "<<choice>>",
    "[[fork]]", "--", "\n--\n", "[*]", "[H]", "direction LR", "classDef k fill:#f00;", "class a k", "style a fill:#f00",
    'click a href "x"', " ", "\t", "a", "b", " as ", "accTitle: x", "accDescr {", "scale 350 width", "default", "nl",
    "hide empty description", "<b a=\"x\">", "<br/>", "\ufeff", "\u00a0", "\ufdd0", "\x00", "🚀", "ﬂ°", "[", "]", "(", ")",
    " / ", " after 14d", " at a.b", " if ", " else ", " fails", "on enter", "not ", "attempts=", "=", ",", "---\n",
    "title: ", "detent: {", "```mermaid\n", "&", "|x|", "<-->", "\\", "\\u0041",
]  # fmt: skip


def mutated(text: str, chance: random.Random) -> str:
    """The text with a few pieces put in, taken out or repeated."""
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(text) + 1)
        match chance.randrange(4):
            case 0 | 1:
                text = text[:at] + chance.choice(PIECES) + text[at:]
            case 2:
                text = text[:at] + text[at + chance.randint(1, 12) :]
            case _:
                start = chance.randrange(len(text) + 1)
                text = text[:at] + text[start : start + chance.randint(1, 40)] + text[at:]
    return text


def read(text: str) -> float:
    """Reads the text in both ways; answers the seconds of processor time it took."""
    started = time.process_time()
    refusals = [_problems(text, strict=strict) for strict in (True, False)]
    took = time.process_time() - started
    for problems in filter(None, refusals):
        assert "detent" in text or all(PLACE.match(problem.path) for problem in problems), text
    return took


def _problems(text: str, *, strict: bool) -> tuple[Problem, ...]:
    try:
        read_mermaid(text, strict=strict)
    except DefinitionInvalid as error:
        return error.problems
    return ()


@pytest.mark.parametrize("part", range(4))
def test_no_text_is_answered_with_another_error(part: int) -> None:
    chance = random.Random(None if ARE_NEW else part)
    for _ in range(INPUTS // 4):
        text = mutated(chance.choice(SAMPLES), chance)
        took = read(text)
        assert took < SECONDS_FOR_10_KB * max(1, len(text) / 10_000), text
        mermaid_blocks(text)


LONG = {
    "arrows": "a --> b : go\n" * 800,
    "many arrows": "".join(f"a{i} --> a{i + 1} : go{i}\n" for i in range(500)),
    "words": "a " * 5_000,
    "words behind state": "state " + "a " * 5_000,
    "braces": "state a {\n" * 1_000,
    "blank lines": "\n" * 10_000,
    "blanks": " " * 10_000,
    "open notes": "note right of a\n" * 600,
    "note of blank lines": "note right of a\n" + "\n" * 9_000,
    "directions": "direction LR " * 750,
    "quotes": '"' * 10_000,
    "tags": "<a" * 5_000,
    "directives": "%%{" * 3_000,
    "comments": "%%c\n" * 2_500,
    "colons": ":" * 10_000,
    "hyphens": "-" * 10_000,
    "semicolons": "style:#" * 1_400 + ";",
    "entities": "#35;" * 2_500,
    "brackets": "a --> b : " + "[" * 9_000,
    "guards": "a --> b : x [" + "not " * 2_200 + "]",
    "titles that differ in signs alone": "".join(
        f'state "the_same_for_thirty_letters_and{i}" as a{i}\n' for i in range(190)
    ),
    "pairs": "a --> a : " + "k=v," * 2_400,
    "blanks in a label": "a --> b : k = " + " " * 9_000 + "x",
    "empty composites": "".join(f"state a{i} {{\n}}\n" for i in range(700)),
    "composites": "".join(f"state a{i} {{\n[*]-->b{i}\nb{i}-->[*]\n}}\n" for i in range(250)),
    "branches": "state f <<fork>>\nstate j <<join>>\n" + "".join(f"f-->a{i}\na{i}-->j\n" for i in range(500)),
    "branches that meet": "state f <<fork>>\n" + "".join(f"f-->a{i}\na{i}-->j\n" for i in range(500)),
    "kinds": "state " + "<<fork>> " * 1_100,
    "choices": "".join(f"state c{i} <<choice>>\n" for i in range(9))
    + "".join(f"c{i} --> c{j} : x{j}\n" for i in range(9) for j in range(9))
    + "a --> c0 : go\n",
}


@pytest.mark.parametrize("name", LONG)
def test_no_long_text_takes_long(name: str) -> None:
    text = "stateDiagram-v2\n" + LONG[name]
    assert read(text) < 2 * SECONDS_FOR_10_KB


ABOVE = {
    "no end": "\n" * 10_000,
    "a list": f"k: [{'1,' * 4_800}]\n",
    "many keys": "".join(f"k{number}: 'v'\n" for number in range(900)),
    "deep": "k: " + "[" * 9_000,
    "aliases of aliases": "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 60)),
}


@pytest.mark.parametrize("name", ABOVE)
def test_no_front_matter_takes_long(name: str) -> None:
    text = f"---\n{ABOVE[name]}---\nstateDiagram-v2\na --> b\n"
    assert read(text) < SECONDS_FOR_10_KB
