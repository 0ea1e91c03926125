"""Which audiences a run may ask an identity token for. Pure.

SECURITY: a token is as good as what accepts its audience. So nothing of our own is ever one (a token must not speak to
us), and what belongs to a credential is only for runs that the credential is assigned to.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from runpass.errors import Forbidden, InvalidInput
from runpass.server.tenancy.model import MAX_AUDIENCE

_RESERVED: Final = ("urn:runpass:", "api://env0-")
"""What begins so is given away by credentials alone (`protocol.credentials.fields.audience`), or by nobody."""
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


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
    place = _place(audience)
    return any(audience.rstrip("/").lower() == url.rstrip("/").lower() or place == _place(url) for url in urls)


def _place(url: str) -> tuple[str, int | None] | str:
    """Give host and port of a URL, whatever its scheme and path; a text that is no URL stands for itself."""
    try:
        parts = urlsplit(url if "//" in url else f"//{url}")
        host, port = parts.hostname, parts.port
    except ValueError:
        return url
    if not host:
        return url
    return host.rstrip("."), port if port is not None else _DEFAULT_PORTS.get(parts.scheme or "https")
