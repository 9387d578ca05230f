"""Commands over files that hold a state diagram."""

from pathlib import Path

import pytest

DRAWN = """stateDiagram-v2
    [*] --> draft
    draft --> review : submit
    review --> approved : approve [is_manager]
    review --> draft : reject
    approved --> [*]
"""


@pytest.mark.parametrize("name", ["paper.mmd", "paper.MERMAID"])
def test_a_diagram_is_a_definition_to_every_command(detent, name):
    Path(name).write_text(DRAWN)
    assert "sound (paper v1)" in detent("validate", name).output
    assert "state_without_timeout" in detent("check", name, "--format", "json").output
    assert "accTitle: Workflow paper" in detent("diagram", name).output


def test_what_is_misread_in_silence_is_told_with_line_and_column(detent):
    Path("paper.mmd").write_text("stateDiagram-v2\n a -> b\n")
    told = detent("validate", "paper.mmd")
    assert told.exit_code == 1
    assert "line 2, column 4: this is no arrow" in told.output


def test_check_says_once_where_a_fault_of_a_diagram_is(detent):
    Path("paper.mmd").write_text("stateDiagram-v2\n a -> b\n")
    told = detent("check", "paper.mmd")
    assert "  error   line 2, column 4: this is no arrow" in told.output
    assert "2:4" not in told.output


@pytest.mark.parametrize("command", ["validate", "check"])
def test_what_reading_a_diagram_warns_of_is_told_with_line_and_column(detent, command):
    Path("paper.mmd").write_text(DRAWN.replace("    [*]", "    %%{init: {theme: dark}}%%\n    [*]"))
    told = detent(command, "paper.mmd")
    assert told.exit_code == 0
    assert "line 2, column 15: Mermaid reads none of its directives" in told.output
    assert detent(command, "paper.mmd", "--strict").exit_code == 1


def test_a_file_that_is_no_text_is_told_so(detent):
    Path("paper.mmd").write_bytes(b"\xff")
    told = detent("validate", "paper.mmd")
    assert told.exit_code == 1
    assert "is no text in UTF-8" in told.output
