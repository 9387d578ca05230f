"""Workflows that are drawn: what `detent generate` makes of a diagram inherits from here."""

from detent.drawn.decision import Decision, Options
from detent.drawn.drawing import Drawing, Step
from detent.drawn.serving import Failed
from detent.drawn.workflow import DrawnWorkflow

__all__ = ["Decision", "Drawing", "DrawnWorkflow", "Failed", "Options", "Step"]
