"""Directives of reStructuredText that show a diagram, below a comment that says which one.

    .. detent diagram: shop.orders:order --style flowchart

    .. mermaid::
       :align: center

       ...

The comment holds the arguments of `detent diagram`. The directive after it is what that draws; it may be absent, and is
then put there. Its options stay as they are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from detent.cli.marked_blocks import MarkedBlock
from detent.notation.rst import Markup, markup_in, rst_lines

_MARK = "detent diagram:"
_DIRECTIVES = {"mermaid": "mermaid", "dot": "graphviz"}
"""Which directive shows a language."""
_CODE = frozenset({"code", "code-block", "sourcecode"})
_LANGUAGES = frozenset({"mermaid", "dot", "graphviz"})
_STEP = "   "


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedDirective(MarkedBlock):
    """A mark in reStructuredText, and the directive that it stands for."""

    column: int
    """How far the mark and the directive stand from the margin."""
    head: tuple[str, ...] = ()
    """The line of the directive and those of its options, without their indentation."""
    is_followed: bool = False
    """Whether a text stands right below the mark, which a new directive keeps away from."""

    def holding(self, diagram: str, language: str) -> "MarkedDirective":
        """The same block with `diagram` in it."""
        head = self.head if self.exists else (f".. {_DIRECTIVES[language]}::",)
        return replace(self, head=head, text=diagram)

    @property
    def lines(self) -> list[str]:
        """The lines of the directive; of a new one with those that set it apart."""
        held = [f"{_STEP}{line}" if line else "" for line in self.text.removesuffix("\n").split("\n")]
        said = [self.head[0], *(f"{_STEP}{option}" for option in self.head[1:]), "", *held]
        whole = [f"{' ' * self.column}{line}" if line else "" for line in said]
        return whole if self.exists else ["", *whole, *([""] if self.is_followed else [])]


def marked_directives(page: str) -> Iterator[MarkedDirective]:
    """The marked directives of a page of reStructuredText, from the first to the last."""
    lines = rst_lines(page)
    markup = list(markup_in(lines))
    for each, following in zip(markup, [*markup[1:], None], strict=True):
        if not each.name and each.said.startswith(_MARK):
            yield _block_of(each, following, lines)


def _block_of(mark: Markup, following: Markup | None, lines: Sequence[str]) -> MarkedDirective:
    words = " ".join([mark.said, *mark.body]).removeprefix(_MARK).strip()
    if following is None or not _shows_diagram(following, mark.column) or _is_text(lines[mark.end : following.at]):
        return MarkedDirective(
            words=words,
            mark=mark.at + 1,
            start=mark.end,
            end=mark.end,
            exists=False,
            column=mark.column,
            is_followed=_is_text(lines[mark.end : mark.end + 1]),
        )
    shows_file = following.said and following.name not in _CODE
    return MarkedDirective(
        words=words,
        mark=mark.at + 1,
        start=following.at,
        end=following.end,
        text="".join(f"{line}\n" for line in following.body),
        fault="the directive after this mark shows a file" if shows_file else "",
        column=mark.column,
        head=(lines[following.at].strip(), *following.options),
    )


def _shows_diagram(markup: Markup, column: int) -> bool:
    language = markup.said.casefold() if markup.name in _CODE else markup.name
    return language in _LANGUAGES and markup.column == column


def _is_text(lines: Sequence[str]) -> bool:
    return any(line.strip() for line in lines)
