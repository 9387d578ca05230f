"""State diagrams as Python: an abstract class with a method for each state that does something, and payloads to fill in."""

from detent.notation.python_class.generated import Generated, generate
from detent.notation.python_class.options import PayloadStyle
from detent.notation.python_class.pages import titled_blocks

__all__ = ["Generated", "PayloadStyle", "generate", "titled_blocks"]
