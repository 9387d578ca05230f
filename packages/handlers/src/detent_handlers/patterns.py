"""Regular expressions that may be written by anybody, matched in bounded time and memory."""

from collections.abc import Iterator

import regex

LONGEST_PATTERN = 500
"""How many characters a pattern may have."""
LONGEST_SEARCH = 0.2
"""How many seconds the patterns of one step may be searched for: some take hours on a short text."""
LONGEST_TEXT = 10_000
"""How many characters a text may have that is matched against one; so often, too, may a pattern ask for something at least."""

_TOKEN = regex.compile(
    r"(?P<comment>\(\?\#[^)]*\))"
    r"|(?P<verbose>\(\?[a-zA-Z0-9-]*x)"
    r"|(?P<call>\(\?(?:R|&|P>|[+-]?\d))"
    r"|(?P<open>\((?:\?(?:P?<\w+>|<?[=!]|[>|:]|[a-zA-Z0-9-]+:?|P=)?)?)"
    r"|(?P<close>\))"
    r"|\{(?P<least>\d*)(?P<most>,\d*)?\}"
    r"|(?P<other>\\[pPNxuU]\{[^}]*\}|\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|.)",
    regex.DOTALL,
)


def pattern_fault(pattern: object) -> str | None:
    """Why nothing can be searched for by `pattern`; `None` where it can."""
    if not isinstance(pattern, str):
        return "must be a text"
    if len(pattern) > LONGEST_PATTERN:
        return f"has {len(pattern):,} characters, and a pattern may have {LONGEST_PATTERN:,}"
    try:
        least = _repetitions(_TOKEN.finditer(pattern))
        if least > LONGEST_TEXT:
            # Only now may it be compiled: that, too, takes as much memory.
            return f"asks for {least:,} repetitions, and a text has at most {LONGEST_TEXT:,} characters"
        regex.compile(pattern)
    except (regex.error, OverflowError, RecursionError) as error:
        return f"is not a regular expression: {error}"
    except ValueError as error:
        return str(error)
    return None


def is_found(pattern: str, text: str, seconds: float = LONGEST_SEARCH) -> bool:
    """Whether `pattern`, with which nothing is wrong, is found anywhere in `text`. Raises `TimeoutError`."""
    if seconds <= 0:
        raise TimeoutError
    return len(text) <= LONGEST_TEXT and regex.search(pattern, text, timeout=seconds) is not None


def _repetitions(tokens: Iterator["regex.Match[str]"]) -> int:
    """How often at least something is matched, repetitions inside repetitions multiplied: that much memory a search takes.

    Its time limit is not heeded there. Raises `ValueError` for what hides repetitions.
    """
    whole, last = 0, 0
    for token in tokens:
        if token["verbose"]:
            raise ValueError("sets the flag x, which is not taken here")
        if token["call"]:
            raise ValueError("calls a part of itself, which is not taken here")
        if token["comment"]:
            continue
        if token["close"]:
            break
        if token["least"] is not None and (token["least"] or token["most"]):
            last *= int(token["least"] or 0)
            continue
        whole += last
        last = _repetitions(tokens) if token["open"] else 1
    return whole + last
