"""Text that is safe to print: what a file or another package says must not drive the terminal."""


def printable(text: str) -> str:
    """The text, in which control characters other than line ends can be seen and do nothing."""
    return "".join(char if char.isprintable() or char == "\n" else _shown(char) for char in text)


def one_line(text: str) -> str:
    """The text on one line, safe to print."""
    return printable(" ".join(text.split()))


def _shown(char: str) -> str:
    return char.encode("unicode_escape", "backslashreplace").decode("ascii")
