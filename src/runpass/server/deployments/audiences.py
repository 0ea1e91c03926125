"""Which audiences a run may ask an identity token for. Pure.

SECURITY: a token is as good as what accepts its audience. So nothing of our own is ever one (a token must not speak to
us), and what belongs to a credential is only for runs that the credential is assigned to.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from runpass.errors import Forbidden, InvalidInput
from runpass.server.tenancy.model import MAX_AUDIENCE

_RESERVED: Final = ("urn:runpass:", "api://env0-")
"""What begins so is given away by credentials alone (`protocol.credentials.fields.audience`), or by nobody."""
_STANDARD: Final = frozenset({80, 443})
_AUTHORITY: Final = re.compile(r"(?:[a-z][a-z0-9+.-]*:(?![0-9]+(?:/|$)))?[/\\]*([^/\\?#]*)")


@dataclass(frozen=True, slots=True)
class OwnAudiences:
    """What is ours: the audience that every job's token may have, and the URLs that none has."""

    shared: str
    urls: tuple[str, ...]


def one_audience(asked: Sequence[str], shared: str) -> str:
    """Give the audience that a request asks for; `shared` if it asks for none.

    Raises `InvalidInput` for several (one audience per token), and for what no relying party could compare.
    """
    if not asked:
        return shared
    if len(asked) > 1:
        raise InvalidInput.of("audience", "must be given once: a token has exactly one audience")
    problem = unfit(asked[0])
    if problem is not None:
        raise InvalidInput.of("audience", problem)
    return asked[0]


def unfit(audience: str) -> str | None:
    """Give what is wrong with a text as an audience, or nothing."""
    if not audience:
        return "must not be empty"
    if len(audience) > MAX_AUDIENCE:
        return f"is longer than {MAX_AUDIENCE} characters"
    if not all("!" <= character <= "~" for character in audience):
        return "must be printable ASCII without spaces"
    return None


def check_permitted(audience: str, own: OwnAudiences, assigned: Iterable[str], limits: Sequence[str] | None) -> None:
    """Let pass what a run may have; `assigned` are its credentials' audiences, `limits` the organization's.

    Raises `Forbidden` that names the rule, and nothing that is not the run's.
    """
    if audience == own.shared:
        return  # every token of a job has it
    if _is_ours(audience, own.urls):
        raise Forbidden("a URL of this server is no audience: runs have nothing to prove to it")
    if audience.lower().startswith(_RESERVED) and audience not in set(assigned):
        raise Forbidden("this audience belongs to a credential that is not assigned to the run's project")
    if limits is not None and not any(_allows(entry, audience) for entry in limits):
        raise Forbidden("the organization does not allow this audience (policy allowedIdentityAudiences)")


def _allows(entry: str, audience: str) -> bool:
    """Whether an entry is the audience, or its beginning where the entry ends with `*`."""
    return audience.startswith(entry[:-1]) if entry.endswith("*") else audience == entry


def _is_ours(audience: str, urls: Iterable[str]) -> bool:
    host, port = _place(audience)
    for url in urls:
        own_host, own_port = _place(url)
        standard = {port, own_port} <= {None, *_STANDARD}
        if host == own_host and (port is None or port == own_port or standard):
            return True
    return False


def _place(url: str) -> tuple[str, int | None]:
    """Give host and port of what somebody may take for a URL, however it is spelled: scheme, slashes, escapes."""
    authority = _AUTHORITY.match(unquote(url).lower())
    found = (authority[1] if authority else url).rpartition("@")[2]
    host, colon, port = found.rpartition(":")
    if not colon or not port.isdigit():
        return found.rstrip("."), None
    return host.rstrip("."), int(port)
