"""What the Vault side must know of a credential: said with options, or asked from the server."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from runpass.cli.connecting import Answer, connected, identify
from runpass.errors import FieldError, Forbidden, InvalidInput, NotFound

if TYPE_CHECKING:
    from runpass.api_client import ApiClient


@dataclass(frozen=True, slots=True)
class Named:
    """The facts that were said with options; they win over the server's."""

    issuer: str | None
    jwks_url: str | None
    audience: str | None
    organization_id: UUID | None
    credential_id: UUID | None
    project_ids: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class OwnUrl:
    """How a Vault's own key set URL is asked for: for which auth method, and whether one is made."""

    mount: str
    namespace: str
    is_wanted: bool


def facts(named: Named, credential: str | None, own_url: OwnUrl | None = None) -> dict[str, Any]:
    """Give what `vault.desired.Guide` needs. Raises `InvalidInput` that names every option that is missing."""
    if credential is not None:
        with connected() as api:
            named = _from_server(api, named, credential, own_url)
    wanted = {
        "--issuer": named.issuer,
        "--jwks-url": named.jwks_url,
        "--organization-id": named.organization_id,
        "--credential-id": named.credential_id,
    }
    missing = tuple(FieldError(option, "is required") for option, value in wanted.items() if value is None)
    if missing:
        message = "; ".join(f"{item.field}: {item.message}" for item in missing)
        raise InvalidInput(message, missing, hint="or name a --credential, and the server tells all of them")
    audience = named.audience or str(named.issuer).removesuffix("/")
    return {
        "issuer": named.issuer,
        "jwks_url": named.jwks_url,
        "audience": audience,
        "organization_id": named.organization_id,
        "credential_id": named.credential_id,
        "project_ids": named.project_ids,
    }


def projects_with(
    credential_id: str, projects: Sequence[Answer], assigned: Mapping[str, Sequence[str]]
) -> tuple[UUID, ...]:
    """Give the projects whose runs get this credential: the nearest level above that has any decides.

    `assigned` pairs each project with the credentials assigned to exactly it.
    """
    found = []
    for project in projects:
        path = str(project["hierarchy"]).split("|")
        nearest = next((assigned[step] for step in reversed(path) if assigned.get(step)), ())
        if credential_id in nearest:
            found.append(UUID(project["id"]))
    return tuple(found)


def _from_server(api: "ApiClient", named: Named, credential: str, own_url: OwnUrl | None) -> Named:
    told = api.one("GET", "/organizations", api.organization_id, "issuer")
    jwks_url = told["jwksUrl"]
    credential_id = identify(api, "credential", credential)
    is_shared = told["identityIssuer"] != "own"  # the keys at a Vault's own URL are the shared issuer's
    if own_url is not None and named.jwks_url is None and (own_url.is_wanted or is_shared):
        jwks_url = own_jwks_url(api, credential_id, own_url) or jwks_url
    return Named(
        issuer=named.issuer or told["issuer"],
        jwks_url=named.jwks_url or jwks_url,
        audience=named.audience or told["audience"],
        organization_id=named.organization_id or UUID(api.organization_id),
        credential_id=named.credential_id or UUID(credential_id),
        project_ids=named.project_ids or _assigned_projects(api, credential_id),
    )


def own_jwks_url(api: "ApiClient", credential_id: str, wanted: OwnUrl) -> str | None:
    """Give the Vault's own key set URL; nothing where it has none, or has it for another auth method than this."""
    try:
        answer = api.one("PUT" if wanted.is_wanted else "GET", "/credentials", credential_id, "jwks-url")
    except (NotFound, Forbidden, InvalidInput):
        if wanted.is_wanted:
            raise
        return None
    where = (answer["authMountPath"], answer["namespace"])
    if where == (wanted.mount.strip("/"), wanted.namespace.strip("/")):
        return str(answer["jwksUrl"])
    if wanted.is_wanted:
        raise InvalidInput.of(
            "--own-jwks-url", "is for the auth method that the credential names: give its --mount and --namespace"
        )
    return None


def _assigned_projects(api: "ApiClient", credential_id: str) -> tuple[UUID, ...]:
    projects = api.of_organization("/projects")
    route = "/credentials/deployment/project"
    assigned = {item["id"]: api.one("GET", route, item["id"])["credentialIds"] for item in projects}
    return projects_with(credential_id, projects, assigned)
