"""The state diagrams in a page that classes are made of: those that have a title."""

from collections.abc import Iterator

from detent.errors import DefinitionInvalid
from detent.notation.mermaid_reader.head import take_head
from detent.notation.mermaid_reader.page_blocks import MermaidBlock, PageFormat, mermaid_blocks
from detent.notation.mermaid_reader.passes import clean
from detent.notation.mermaid_reader.source import BLANKS, Source


def titled_blocks(text: str, page_format: PageFormat) -> Iterator[tuple[str, MermaidBlock]]:
    """Each block with a state diagram that has a title in its front matter, with the title. Others are for looking at."""
    for block in mermaid_blocks(text, page_format=page_format):
        title = _title(block.text)
        if title is not None:
            yield title, block


def _title(text: str) -> str | None:
    source = Source(text)
    try:
        head = take_head(source)
        clean(source)
    except DefinitionInvalid:
        # What is wrong with it is told by who reads it.
        return "diagram" if "stateDiagram" in text else None
    return head.title if source.text.lstrip(BLANKS).startswith("stateDiagram") else None
