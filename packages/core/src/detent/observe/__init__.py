"""What can be seen of a runtime from outside: traces and metrics, each an extra of its own."""
