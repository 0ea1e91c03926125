"""Which tokens a run may have, from what was read of it. Pure.

SECURITY: a token with `credentialId` is only for a credential that the run's project may use, and never for what a job
asks for by itself.
"""

from collections.abc import Sequence
from uuid import UUID

from runpass.errors import Forbidden
from runpass.protocol.credentials import CredentialKind
from runpass.protocol.identity import ForCredential, ForJob, Purpose
from runpass.server.credentials.rules import clear_text_refusal
from runpass.server.deployments.audiences import OwnAudiences, check_permitted, one_audience
from runpass.server.deployments.mint_model import Run, Token
from runpass.server.deployments.run_leases import has_identity, second_audience


def token_for_runner(run: Run, purpose: Purpose, shared_audience: str) -> Token:
    """Give the token that the run's runner may have for this purpose. Raises `Forbidden`."""
    match purpose:
        case ForCredential(credential_id=credential_id):
            return _token_for_credential(run, credential_id, shared_audience)
        case ForJob(audience_format="v2"):
            audience = second_audience(run.granted)
            if audience is None:
                raise Forbidden("this run has no credential with the token format v2")
            return Token(audience)
        case ForJob():
            if not has_identity(run.granted, run.organization):
                raise Forbidden("this run has no OIDC credential and the organization does not enable OIDC")
            return Token(shared_audience)


def token_for_job(run: Run, asked: Sequence[str], own: OwnAudiences) -> Token:
    """Give the token that the job itself may have, for the one audience that it names, or for the shared one.

    Raises `InvalidInput` for what is no audience, `Forbidden` for one that the run may not have.
    """
    audience = one_audience(asked, own.shared)
    if not has_identity(run.granted, run.organization):
        raise Forbidden("this run has no OIDC credential any more and the organization does not enable OIDC")
    vaults = (item for item in run.granted if item.kind is CredentialKind.VAULT_OIDC)
    assigned = [item.value.audience(own.shared, item.id) for item in vaults]
    check_permitted(audience, own, assigned, run.organization.policies.get("allowed_identity_audiences"))
    return Token(audience)


def _token_for_credential(run: Run, credential_id: UUID, shared_audience: str) -> Token:
    chosen = [item for item in run.granted if item.id == credential_id and item.kind is CredentialKind.VAULT_OIDC]
    if not chosen:
        raise Forbidden("this credential is not assigned to the run's project")
    refusal = clear_text_refusal(chosen, run.organization)
    if refusal is not None:
        raise Forbidden(refusal)
    return Token(chosen[0].value.audience(shared_audience, chosen[0].id), chosen[0])
