"""The page of the documentation that shows the tables, between two comments; what stands around them is written by hand."""

from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs/benchmarks.md"
BEGIN = "<!-- figures begin: written by `make bench` -->"
END = "<!-- figures end -->"


def replaced(text: str, figures: str) -> str:
    """The page with new figures. Raises `ValueError` when the comments are not there once each, in order."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in after:
        raise ValueError(f"the page needs one {BEGIN} and, behind it, one {END}")
    return f"{before}{begin}\n\n{figures}\n\n{end}{after}"


def write(figures: str, page: Path = PAGE) -> None:
    """Put them on the page."""
    page.write_text(replaced(page.read_text("utf-8"), figures), "utf-8")
