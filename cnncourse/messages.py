"""The form of an error: what came, the rule, the next thing to type."""

import difflib
import re
from collections.abc import Iterable
from numbers import Integral


def refusal(argument: str, came: object, rule: str, *, attempt: str) -> str:
    """Sentence of an error: `stride=0: must be 1 or more. Try: stride=1.`"""
    return f"{argument}={came!r}: {rule}. Try: {attempt}."


def unknown(came: str, kind: str, known: Iterable[str]) -> str:
    """Sentence for a name that is not known, with the nearest one that is."""
    names = list(known)
    nearest = difflib.get_close_matches(came, names, n=1, cutoff=0.5)
    guess = f" Did you mean {nearest[0]!r}?" if nearest else ""
    return f"{came!r}: unknown {kind}.{guess} Known: {', '.join(names)}."


def printable(text: str) -> str:
    """Text in one line, without colours; what else a terminal would obey, not show, becomes ?."""
    plain = re.sub(r"\x1b\[[0-?]*[ -/]*[@-~]", "", text)
    return "".join(" " if c.isspace() else c if c.isprintable() else "?" for c in plain)


def check_at_least(argument: str, came: int, least: int) -> None:
    """Raise ValueError unless came is a whole number, least or more."""
    if not isinstance(came, Integral) or isinstance(came, bool) or came < least:
        rule = f"must be a whole number, {least} or more"
        raise ValueError(refusal(argument, came, rule, attempt=f"{argument}={least}"))
