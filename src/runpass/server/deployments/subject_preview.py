"""What `sub` and the claims of an environment's runs would be, and which roles of a Vault would still admit them.

The server never asks a Vault: the roles are those that `runpass vault apply` recorded, and those that the caller sends.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from runpass.errors import InvalidInput
from runpass.ids import CredentialId
from runpass.protocol.credentials import CredentialKind, RecordedRole
from runpass.server.credentials.assignment import credentials_of
from runpass.server.credentials.model import StoredCredential
from runpass.server.db.engine import Transaction
from runpass.server.issuer.addresses import addresses_of
from runpass.server.issuer.claims import AWS_TAGS, ENV0_PREFIX, WorkloadClaims, claims_of
from runpass.server.settings import ServerSettings
from runpass.server.templates.store import get_template
from runpass.server.tenancy.identities import optional_claims_of, subject_of
from runpass.server.tenancy.model import Environment, Organization, Project
from runpass.vault.explain.admission import Admission, NotLookedAt, admission

MOST_ROLES: Final = 20
BY_RUN: Final = "differs from run to run"
_RUNS: Final = (
    *("deploymentLogId", "deploymentType", "deployerEmail", "env0Tag", "phase", "repository", "revision", "commit"),
    *("runnerId", "runnerPool", "runnerIsolation"),
)
"""Claims that say something of one run."""
VARYING: Final = frozenset({*_RUNS, *(f"{ENV0_PREFIX}{name}" for name in _RUNS), AWS_TAGS, "jti", "iat", "nbf", "exp"})
_ANOTHER_NAME: Final = "(another name)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the runs are that a preview is about, and what they log in with; no credential: the job's own token."""

    organization: Organization
    project: Project
    environment: Environment
    template_name: str
    issuer: str
    audience: str
    credential: StoredCredential | None


@dataclass(frozen=True, slots=True)
class NamedRole:
    """A role to be looked at: the `data` of a read of it, or why that is not known."""

    name: str
    role: Mapping[str, Any]
    is_recorded: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a role says to the tokens of one case; `problem` where it was not looked at."""

    admission: Admission | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What a role says now, with the proposed policies, and with these after each kind of rename."""

    role: NamedRole
    now: Verdict
    proposed: Verdict
    after_rename: Mapping[str, Verdict]


@dataclass(frozen=True, slots=True)
class Preview:
    """The claims of the tokens, now and as proposed, and what the roles say to them."""

    now: Mapping[str, Any]
    proposed: Mapping[str, Any]
    roles: tuple[Verdicts, ...]


def place_of(
    tx: Transaction,
    organization: Organization,
    environment: Environment,
    project: Project,
    *,
    credential_id: CredentialId | None,
    settings: ServerSettings,
) -> tuple[Place, tuple[NamedRole, ...]]:
    """Give where the runs are, and the roles that are recorded for the credentials that they get.

    Raises `InvalidInput` for a credential that they do not get, and for an environment that has no template yet.
    """
    template_id = environment.template_id
    template = get_template(tx, organization.id, template_id) if template_id else None
    if template is None:
        raise InvalidInput.of("environmentId", "has no template yet, so nothing runs there")
    assigned = [item for item in credentials_of(tx, project.path) if item.kind is CredentialKind.VAULT_OIDC]
    chosen = next((item for item in assigned if item.id == credential_id), None)
    if credential_id is not None and chosen is None:
        raise InvalidInput.of("credentialId", "must name a Vault OIDC credential that runs of the environment get")
    place = Place(
        organization=organization,
        project=project,
        environment=environment,
        template_name=template.name,
        issuer=addresses_of(settings).issuer_url(organization.issuer),
        audience=chosen.value.audience(settings.audience, chosen.id) if chosen else settings.audience,
        credential=chosen,
    )
    return place, tuple(_recorded(assigned if chosen is None else [chosen]))


def preview(
    place: Place, proposed: Mapping[str, Any], names: Mapping[str, str], roles: tuple[NamedRole, ...]
) -> Preview:
    """Give the preview of other policies. `names` are those after a rename, of `project`, `environment`, `template`.

    Raises `ValueError` if no token could be minted with them.
    """
    facts = _facts(place)
    claims = _claims(place, facts, place.organization.policies)
    wanted = _claims(place, facts, proposed)
    renamed = {
        what: _claims(place, replace(facts, **{f"{what}_name": names.get(what) or _ANOTHER_NAME}), proposed)
        for what in ("project", "environment", "template")
    }
    found = []
    for role in roles[:MOST_ROLES]:
        after = {what: _verdict(role, case) for what, case in renamed.items()}
        found.append(Verdicts(role, _verdict(role, claims), _verdict(role, wanted), after))
    return Preview(claims, wanted, tuple(found))


def _verdict(role: NamedRole, claims: Mapping[str, Any]) -> Verdict:
    try:
        return Verdict(admission(role.name, role.role, claims, VARYING))
    except NotLookedAt as error:
        return Verdict(None, str(error))


def _recorded(credentials: list[StoredCredential]) -> Iterator[NamedRole]:
    for credential in credentials:
        if credential.recorded:
            recorded = RecordedRole.model_validate(credential.recorded)
            yield NamedRole(f"{recorded.mount}/{recorded.role_name}", json.loads(recorded.role), is_recorded=True)


def _facts(place: Place) -> WorkloadClaims:
    environment, organization_id = place.environment, str(place.organization.id)
    return WorkloadClaims(
        organization_id=organization_id,
        organization=organization_id,
        project_id=str(place.project.id),
        project_name=place.project.name,
        template_id=str(environment.template_id),
        template_name=place.template_name,
        environment_id=str(environment.id),
        environment_name=environment.name,
        workspace_name=environment.workspace_name,
        deployment_log_id=BY_RUN,
        deployment_type=BY_RUN,
        deployer_email=BY_RUN,
        env0_tag=BY_RUN,
        phase=BY_RUN,
        repository=BY_RUN,
        revision=BY_RUN,
        commit=BY_RUN,
        runner_id=BY_RUN,
        runner_pool=BY_RUN,
        runner_isolation=BY_RUN,
        credential_id=str(place.credential.id) if place.credential else None,
    )


def _claims(place: Place, facts: WorkloadClaims, policies: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "iss": place.issuer,
        "sub": subject_of(place.organization, facts, policies),
        "aud": place.audience,
        "jti": BY_RUN,
        **claims_of(facts, optional_claims_of(policies)),
    }
