"""Paths of Vault's API: checked and percent-encoded. Pure."""

from urllib.parse import quote

from runpass.vault.errors import PathInvalid


def checked(path: str, what: str = "path") -> str:
    """Give the path without slashes at its ends.

    Raises `PathInvalid` for an empty path or segment, `.` and `..` (they would leave the mount), control characters,
    and the characters that start a query, a fragment or an escape.
    """
    trimmed = path.strip("/")
    bad_segment = any(segment in {"", ".", ".."} for segment in trimmed.split("/"))
    if bad_segment or any(not c.isprintable() or c in "?#%\\" for c in trimmed):
        raise PathInvalid(
            f"the {what} is not one that Vault could mean",
            hint=f"A {what} looks like team/app: no empty parts, no . or .., none of ? # % \\, nothing unprintable.",
        )
    return trimmed


def encoded(path: str) -> str:
    """Give the path as it goes into a URL (RFC 3986, section 2.1), every segment on its own."""
    return "/".join(quote(segment, safe="") for segment in checked(path).split("/"))


def namespace(text: str) -> str:
    """Give the namespace's path; the root namespace has the empty one, however it is written."""
    return "" if text.strip("/") in {"", "root"} else checked(text, "namespace")
