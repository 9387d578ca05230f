"""`detent generate`: what it writes, what it leaves alone, and what it says."""

import json
import re
from pathlib import Path

import pytest
import yaml

DRAWN = "stateDiagram-v2\n    [*] --> pack\n    pack --> send\n    send --> [*]\n"
BASE, PAYLOADS = Path("shop_base.py"), Path("shop_payloads.py")


@pytest.fixture
def shop(detent):
    """Calls `detent generate` beside a diagram."""
    Path("shop.mmd").write_text(DRAWN)
    return lambda *arguments: detent("generate", *(arguments or ["shop.mmd"]))


def test_two_modules_are_written_beside_a_diagram_and_are_current_then(shop):
    told = shop()
    assert (told.exit_code, told.output) == (0, "shop_base.py: written\nshop_payloads.py: written\n")
    assert BASE.read_text().startswith("# Made by `detent generate` from shop.mmd: do not edit")
    assert "class PackPayload(TypedDict):" in PAYLOADS.read_text()
    before = BASE.read_bytes()
    assert shop().output == "shop_base.py: current\nshop_payloads.py: current\n"
    assert BASE.read_bytes() == before


def test_a_check_writes_nothing_and_shows_what_is_out_of_date(shop):
    missing = shop("--check", "shop.mmd")
    assert (missing.exit_code, missing.output) == (
        1,
        "shop_base.py: is missing: generate without --check\nshop_payloads.py: is missing: generate without --check\n",
    )
    assert not BASE.exists()
    shop()
    assert shop("--check", "shop.mmd").exit_code == 0
    Path("shop.mmd").write_text(DRAWN.replace("pack --> send\n", "pack --> send\n    pack --> pack: attempts=2\n"))
    stale = shop("--check", "shop.mmd")
    assert stale.exit_code == 1
    assert "shop_base.py: is out of date: generate without --check" in stale.output
    assert next(line for line in stale.output.splitlines() if '"attempts": 2' in line).startswith("    +")
    assert "attempts" not in BASE.read_text()


def test_line_ends_of_a_checkout_are_no_difference(shop):
    shop()
    BASE.write_bytes(BASE.read_bytes().replace(b"\n", b"\r\n"))
    assert shop("--check", "shop.mmd").exit_code == 0


@pytest.mark.parametrize("option", [[], ["--check"]])
def test_payloads_are_the_users_and_what_they_lack_is_told_to_be_added(shop, option):
    shop()
    theirs = "from pydantic import BaseModel\n\n\nclass PackPayload(BaseModel):\n    items: list[str]\n"
    PAYLOADS.write_text(theirs)
    told = shop("shop.mmd", *option)
    assert told.exit_code == 1
    assert "shop_payloads.py: lacks SendPayload; it is yours and not written again, so add\n" in told.output
    assert '    class SendPayload(BaseModel):\n        """What `send` is given."""\n' in told.output
    assert PAYLOADS.read_text() == theirs


@pytest.mark.parametrize(
    "text",
    [
        "PackPayload = dict[str, int]\nSendPayload: type = dict\n",
        "from other import Pack as PackPayload, SendPayload\n",
        "from other import *\n",
        "if True:\n    class PackPayload: ...\n    class SendPayload: ...\n",
    ],
)
def test_payloads_may_come_from_anywhere(shop, text):
    shop()
    PAYLOADS.write_text(text)
    assert shop("--check", "shop.mmd").exit_code == 0


def test_payloads_may_be_stubbed_as_pydantic_models_by_an_option_or_by_the_diagram(shop):
    shop("shop.mmd", "--pydantic")
    assert "class PackPayload(BaseModel):" in PAYLOADS.read_text()
    Path("other.mmd").write_text('---\ndetent: {"python": {"payloads": "pydantic"}}\n---\n' + DRAWN)
    shop("other.mmd", "--typed-dict")
    assert "class PackPayload(BaseModel):" in Path("other_payloads.py").read_text()


def test_all_faults_of_all_diagrams_are_told_with_their_lines_and_nothing_is_written(shop):
    Path("bad.mmd").write_text("stateDiagram-v2\n    [*] --> in\n    in --> a\n    a -> b\n")
    Path("worse.mermaid").write_text("flowchart LR\n")
    told = shop("shop.mmd", "bad.mmd", "worse.mermaid")
    assert told.exit_code == 1
    assert "bad.mmd: line 4, column 7: this is no arrow" in told.output
    assert "worse.mermaid: line 1, column 1: this is a flowchart" in told.output
    assert told.output.endswith("Nothing was written.\n")
    assert not BASE.exists()


def test_patterns_find_diagrams_in_folders_and_a_file_is_taken_once(shop):
    Path("deep/er").mkdir(parents=True)
    Path("deep/er/other.mermaid").write_text(DRAWN)
    told = shop("**/*.m*", "shop.mmd")
    assert [line.split(":")[0] for line in told.output.splitlines()] == [
        "deep/er/other_base.py",
        "deep/er/other_payloads.py",
        "shop_base.py",
        "shop_payloads.py",
    ]


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ("*.mermaid", "no .mmd or .mermaid file and no page of Markdown is like this"),
        ("nowhere/at.mmd", "nowhere/at.mmd: there is no such file"),
        ("shop", "there is no such file; did you mean 'shop.mmd'?"),
        ("order.json", "is no .mmd or .mermaid file, and no page of Markdown"),
        (".", 'is a folder; name what is in it: "./*.mmd"'),
    ],
)
def test_a_name_behind_which_there_is_no_diagram_is_told(shop, named, told):
    refused = shop(named)
    assert (refused.exit_code, told in refused.output) == (1, True)


def test_two_diagrams_that_would_be_written_over_each_other_are_refused(shop):
    Path("deep").mkdir()
    Path("deep/shop.mmd").write_text(DRAWN)
    Path("other.mmd").write_text("---\ntitle: shop\n---\n" + DRAWN)
    told = shop("shop.mmd", "deep/shop.mmd", "--output", "made")
    assert (told.exit_code, "deep/shop.mmd: the module shop_base comes from shop.mmd already" in told.output) == (
        1,
        True,
    )
    told = shop("shop.mmd", "other.mmd")
    assert (told.exit_code, "other.mmd: the class ShopBase comes from shop.mmd already" in told.output) == (1, True)
    assert shop("shop.mmd", "deep/shop.mmd").exit_code == 0


def test_modules_go_into_another_folder_and_name_the_diagram_from_there(shop):
    shop("shop.mmd", "--output", "src/made")
    assert "from ../../shop.mmd:" in Path("src/made/shop_base.py").read_text()


def test_payloads_are_imported_as_the_place_of_the_modules_asks_for(shop):
    shop()
    assert "\nfrom shop_payloads import PackPayload, SendPayload\n" in BASE.read_text()
    Path("__init__.py").touch()
    shop()
    assert "\nfrom .shop_payloads import " in BASE.read_text()
    shop("shop.mmd", "--output", "src/made", "--root", "src")
    assert "\nfrom made.shop_payloads import " in Path("src/made/shop_base.py").read_text()
    outside = shop("shop.mmd", "--root", "src")
    assert (outside.exit_code, "is not inside of src" in outside.output) == (1, True)
    bad = shop("shop.mmd", "--output", "src/a-b", "--root", "src")
    assert (bad.exit_code, "'a-b' is no name of a package" in bad.output) == (1, True)


def test_a_module_that_somebody_wrote_is_not_written_over(shop):
    BASE.write_text("mine = True\n")
    told = shop()
    assert (told.exit_code, "was not made by `detent generate`" in told.output) == (1, True)
    assert BASE.read_text() == "mine = True\n"
    assert not PAYLOADS.exists()


def test_payloads_that_are_no_python_are_told(shop):
    PAYLOADS.write_text("class\n")
    told = shop()
    assert (told.exit_code, "shop_payloads.py is no Python" in told.output) == (1, True)
    assert not BASE.exists()


def test_the_answer_may_be_json(shop):
    (file,) = json.loads(shop("shop.mmd", "--json").output)["files"]
    assert (file["file"], file["workflow"], file["version"], file["class"]) == ("shop.mmd", "shop", "1", "ShopBase")
    assert file["modules"] == [
        {"path": "shop_base.py", "state": "written", "missing": []},
        {"path": "shop_payloads.py", "state": "written", "missing": []},
    ]
    Path("shop.mmd").write_text("stateDiagram-v2\n    [*] --> in\n    in --> [*]\n")
    answer = json.loads(shop("shop.mmd", "--json").output)
    assert (answer["good"], answer["files"][0]["modules"]) == (False, [])
    assert answer["files"][0]["problems"][0]["path"] == "line 2, column 13"


def test_the_hook_for_pre_commit_checks_all_diagrams(shop):
    (hook,) = yaml.safe_load((Path(__file__).parents[4] / ".pre-commit-hooks.yaml").read_text())
    program, command, *options = hook["entry"].split()
    assert (program, command, hook["pass_filenames"]) == ("detent", "generate", False)
    assert shop(*options, *hook["args"]).exit_code == 1
    shop()
    assert shop(*options, *hook["args"]).exit_code == 0
    files = re.compile(hook["files"])
    assert all(map(files.search, ["a/shop.mmd", "shop.mermaid", "shop_base.py", "shop_payloads.py"]))
    assert not files.search("shop.py")


PAGE = """# Shop

```mermaid
---
title: PackingWorkflow
---
stateDiagram-v2
    [*] --> pack
    pack --> [*]
```

```mermaid
stateDiagram-v2
    [*] --> only --> for looking
```

~~~mermaid
flowchart LR
~~~

```mermaid
---
title: sending
---
stateDiagram-v2
    [*] --> send
    send --> [*]
```
"""


def test_of_a_page_the_diagrams_with_a_title_are_made_into_classes(shop):
    Path("shop.md").write_text(PAGE)
    told = shop("shop.md")
    assert [line.split(":")[0] for line in told.output.splitlines()] == [
        "packing_base.py",
        "packing_payloads.py",
        "sending_base.py",
        "sending_payloads.py",
    ]
    assert "class PackingBase(" in Path("packing_base.py").read_text()
    assert shop("--check", "*.md").exit_code == 0
    assert [file["line"] for file in json.loads(shop("shop.md", "--json").output)["files"]] == [4, 22]


def test_a_fault_in_a_page_is_told_with_its_line_of_the_page(shop):
    Path("shop.md").write_text(PAGE.replace("[*] --> send", "[*] -> send"))
    told = shop("shop.md")
    assert (told.exit_code, "shop.md: line 26, column 9: this is no arrow" in told.output) == (1, True)
    Path("shop.md").write_text(PAGE.replace("title: sending\n---", "title: sending"))
    assert "shop.md: line 22, column 1: the front matter is not closed" in shop("shop.md").output


def test_two_diagrams_of_one_page_are_told_apart(shop):
    Path("shop.md").write_text(PAGE.replace("title: sending", "title: Packing"))
    told = shop("shop.md")
    assert "shop.md: the module packing_base comes from shop.md, line 4 already" in told.output


def test_a_page_without_a_titled_diagram_says_so(shop):
    Path("shop.md").write_text("# Shop\n")
    told = shop("shop.md")
    assert (told.exit_code, told.output) == (
        0,
        "no diagram in these pages has a `title: …` in its front matter; one without is only for looking at\n",
    )
