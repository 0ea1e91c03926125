"""What every client command begins with: a connection, and ids for the names that were typed."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

from runpass.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from runpass.api_client import ApiClient

Answer = dict[str, Any]

ROUTES = {
    "project": "/projects",
    "credential": "/credentials",
    "template": "/blueprints",
    "environment": "/environments",
    "API key": "/api-keys",
    "runner": "/runners",
}
"""Where the things that have names are listed."""
PAGE = 1_000


@contextmanager
def connected() -> Iterator["ApiClient"]:
    """Give a client as the settings say."""
    from runpass.api_client import ApiClient, Connection
    from runpass.cli.settings import access, load_settings

    settings = load_settings().settings
    who = access(settings)
    connection = Connection(
        url=settings.url,
        api_key_id=who.api_key_id,
        api_key_secret=who.api_key_secret,
        organization_id=None if who.organization_id is None else str(who.organization_id),
        ca_bundle=settings.ca_bundle,
        timeout_seconds=settings.timeout_seconds,
    )
    with ApiClient(connection) as api:
        yield api


def as_id(text: str) -> str | None:
    """Give the id if the text is one: whatever parses as a UUID is an id, everything else a name."""
    try:
        return str(UUID(text))
    except ValueError:
        return None


def identify(api: "ApiClient", what: str, wanted: str, *, project: str | None = None) -> str:
    """Give the id of a thing that was named by id or name; an environment may be searched for in one project.

    Raises `NotFound` for an unknown name, and `InvalidInput` that lists the ids behind an ambiguous one.
    """
    known = as_id(wanted)
    if known is not None:
        return known
    if what == "environment":
        return str(choose(list_environments(api, project=project, name=wanted), wanted, what)["id"])
    return str(choose(api.of_organization(ROUTES[what]), wanted, what)["id"])


def choose(found: Sequence[Answer], wanted: str, what: str) -> Answer:
    """Give the one of `found` that has this id or name."""
    known = as_id(wanted)
    key = "name" if known is None else "id"
    matching = [item for item in found if item.get(key) == (known or wanted)]
    if not matching:
        group = "runners" if what == "runner" else what.lower().replace(" ", "-")
        raise NotFound(f"there is no {what} of this {key}", hint=f"runpass {group} list")
    if len(matching) > 1:
        ids = ", ".join(str(item["id"]) for item in matching)
        raise InvalidInput(f"{len(matching)} {what}s have this name: {ids}", hint="say which one by its id")
    return matching[0]


def list_environments(api: "ApiClient", *, project: str | None = None, name: str | None = None) -> list[Answer]:
    """Give all environments, page by page, of one project or of the organization."""
    where = {"organizationId": api.organization_id} if project is None else {"projectId": project}
    found: list[Answer] = []
    while True:
        page = api.many("/environments", name=name, limit=PAGE, offset=len(found), **where)
        found += page
        if len(page) < PAGE:
            return found
