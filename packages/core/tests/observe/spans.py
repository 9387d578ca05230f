"""The spans that a test leaves, kept in memory."""

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


class Spans:
    """Everything that ended so far."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    @property
    def all(self) -> list[ReadableSpan]:
        """In the order they began."""
        return sorted(self._exporter.get_finished_spans(), key=lambda span: span.start_time or 0)

    def one(self, name: str) -> ReadableSpan:
        """The one of this name."""
        [span] = [span for span in self.all if span.name == name]
        return span

    def tree(self) -> list[str]:
        """Names, each indented under its parent."""
        spans = {span.context.span_id: span for span in self.all if span.context}

        def depth(span: ReadableSpan) -> int:
            return 0 if span.parent is None else 1 + depth(spans[span.parent.span_id])

        return ["  " * depth(span) + span.name for span in self.all]

    def forget(self) -> None:
        self._exporter.clear()
