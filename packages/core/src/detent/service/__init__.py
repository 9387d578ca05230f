"""The use cases that web frameworks, the CLI and applications share."""
