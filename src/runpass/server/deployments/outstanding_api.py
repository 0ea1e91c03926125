"""JSON route of what runs have left behind at Vaults: ours, env0 has no counterpart."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from runpass.errors import NotFound
from runpass.ids import DeploymentId, OrganizationId
from runpass.protocol.sweeps import SweepResult
from runpass.server.access.actors import Actor, ScopePath
from runpass.server.access.dependencies import Caller
from runpass.server.access.permissions import Permission
from runpass.server.db.encryption import Cipher
from runpass.server.db.engine import Transaction
from runpass.server.deployments import store
from runpass.server.deployments.keeper import LEEWAY
from runpass.server.deployments.login_model import StoredLogin
from runpass.server.deployments.outstanding import Outstanding, outstanding
from runpass.server.deployments.token_store import HeldToken
from runpass.server.deployments.vault_logins import accessor_of
from runpass.server.http.dependencies import Db, Now, Sealing
from runpass.server.http.wire import ApiModel, Moment
from runpass.server.tenancy.lookup import environment_for

router = APIRouter(prefix="/vault-tokens", tags=["Vault tokens"])


class CountsAnswer(ApiModel):
    """Response: two numbers, which say nothing alone."""

    known: int
    """Tokens that were given and may still live."""
    unknown: int
    """Logins of which nobody knows whether they gave a token."""


class SweepAnswer(ApiModel):
    """Response: what the last runner saw that was sent to revoke a token."""

    result: SweepResult
    at: Moment
    said: str = ""
    hint: str | None = None


class OutstandingLoginAnswer(ApiModel):
    """Response: a login at a Vault whose run is over, and that may have left a token."""

    id: UUID
    deployment_id: UUID
    environment_id: UUID
    project_id: UUID
    credential_id: UUID
    credential_name: str
    address: str
    namespace: str
    auth_mount_path: str
    role_name: str
    is_known: bool
    """Whether the login is known to have given a token."""
    since: Moment
    until: Moment | None = None
    """When a token of it must have ended; null: nobody knows."""
    sweeps: int
    """How often a runner was sent to revoke it."""
    last_sweep: SweepAnswer | None = None
    accessor: str | None = None
    """The token accessor, with `VIEW_TOKEN_ACCESSORS`."""


class HeldTokenAnswer(ApiModel):
    """Response: an identity token of a job whose run is over. Whoever kept it can log in where a role takes it."""

    jti: str
    deployment_id: UUID
    audience: str
    expires_at: Moment
    accepted_until: Moment
    """A minute later: what a Vault allows for clocks by default."""


class OutstandingAnswer(ApiModel):
    """Response: what is outstanding in the projects whose credentials the caller may see."""

    vault_tokens: CountsAnswer
    in_use: int
    """Logins of runs that go on."""
    logins: Annotated[list[OutstandingLoginAnswer], Field(default_factory=list)]
    identity_tokens: Annotated[list[HeldTokenAnswer], Field(default_factory=list)]
    is_complete: bool
    """False: there is more than one answer holds, and the counts are of this answer."""


@router.get("/outstanding")
def list_outstanding(  # noqa: PLR0917 -- one parameter for each part of the request
    organization_id: Annotated[UUID, Query(alias="organizationId")],
    caller: Caller,
    db: Db,
    cipher: Sealing,
    clock: Now,
    deployment_id: Annotated[UUID | None, Query(alias="deploymentId")] = None,
) -> OutstandingAnswer:
    """Give the Vault tokens that ended runs may have left, and the identity tokens of their jobs that still count."""
    with db.read() as tx:
        deployment = None if deployment_id is None else _deployment_for(tx, caller, deployment_id)
        found = outstanding(tx, caller, OrganizationId(organization_id), deployment, clock.now())
    shows = caller.may(Permission.VIEW_TOKEN_ACCESSORS, ScopePath(caller.organization_id))
    return _answer(found, cipher if shows else None)


def _deployment_for(tx: Transaction, caller: Actor, deployment_id: UUID) -> DeploymentId:
    deployment = store.get_deployment(tx, caller.organization_id, DeploymentId(deployment_id))
    if deployment is None:
        raise NotFound("there is no such deployment")
    try:
        _, project = environment_for(tx, caller, deployment.environment_id, Permission.VIEW_PROJECT)
    except NotFound as error:
        raise NotFound("there is no such deployment") from error
    caller.require(Permission.VIEW_CREDENTIALS, project.scope)
    return deployment.id


def _answer(found: Outstanding, cipher: Cipher | None) -> OutstandingAnswer:
    logins = sorted([*found.known, *found.unknown], key=lambda login: login.id)
    known = {login.id for login in found.known}
    return OutstandingAnswer(
        vault_tokens=CountsAnswer(known=len(found.known), unknown=len(found.unknown)),
        in_use=found.in_use,
        logins=[_login(login, cipher, is_known=login.id in known) for login in logins],
        identity_tokens=[_held(token) for token in found.identity_tokens],
        is_complete=found.is_complete,
    )


def _login(login: StoredLogin, cipher: Cipher | None, *, is_known: bool) -> OutstandingLoginAnswer:
    accessor = None if cipher is None else accessor_of(cipher, login)
    return OutstandingLoginAnswer(
        id=login.id,
        deployment_id=login.deployment_id,
        environment_id=login.environment_id,
        project_id=login.project_id,
        credential_id=login.credential_id,
        credential_name=login.credential_name,
        address=login.address,
        namespace=login.namespace,
        auth_mount_path=login.mount,
        role_name=login.role_name,
        is_known=is_known,
        since=login.intended_at,
        until=login.until,
        sweeps=login.sweeps,
        last_sweep=_sweep(login),
        accessor=None if accessor is None else accessor.reveal(),
    )


def _sweep(login: StoredLogin) -> SweepAnswer | None:
    if login.swept is None or login.swept_at is None:
        return None
    return SweepAnswer(result=login.swept, at=login.swept_at, said=login.sweep_said or "", hint=login.sweep_hint)


def _held(token: HeldToken) -> HeldTokenAnswer:
    return HeldTokenAnswer(
        jti=token.jti,
        deployment_id=token.deployment_id,
        audience=token.audience,
        expires_at=token.expires_at,
        accepted_until=token.expires_at + LEEWAY,
    )
