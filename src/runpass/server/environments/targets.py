"""Which resources a deployment is limited to, as env0's clients spell them. Pure."""

from collections.abc import Sequence

QUOTE, ESCAPE, SEPARATOR = '"', "\\", ","


def split_targets(given: str | Sequence[str] | None) -> tuple[str, ...]:
    """Give the addresses in a list, or in one text with commas between them; empty ones are left out.

    A comma or quote inside the quoted key of an address (`module.a["x,y"]`) belongs to it.
    """
    if given is None:
        return ()
    parts = _parts(given) if isinstance(given, str) else given
    return tuple(address for part in parts if (address := part.strip()))


def _parts(text: str) -> list[str]:
    parts, begin, quoted, escaped = [], 0, False, False
    for at, character in enumerate(text):
        if escaped:
            escaped = False
        elif quoted and character == ESCAPE:
            escaped = True
        elif character == QUOTE:
            quoted = not quoted
        elif character == SEPARATOR and not quoted:
            parts.append(text[begin:at])
            begin = at + 1
    return [*parts, text[begin:]]
