"""The sweeper's role: what lets the control plane's own tokens revoke Vault tokens that runs left behind. Pure.

The names are those of `runpass.protocol.sweeper`, which mints these tokens; this package may not import it, and a test
holds the two against each other.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Final
from uuid import UUID

from runpass.vault.desired import SWEEPER, DesiredState, Policy, Role

NAME: Final = SWEEPER
"""The role's and the policy's name: one of each in a namespace of auth methods."""
API_KEY_TYPE: Final = "runpass-sweeper"
LIFETIME: Final = timedelta(seconds=60)
POLICY: Final = (
    'path "auth/token/lookup-accessor" {\n  capabilities = ["update"]\n}\n\n'
    'path "auth/token/revoke-accessor" {\n  capabilities = ["update"]\n}\n'
)


def subject(organization_id: UUID) -> str:
    """Give the `sub` of the sweeper's tokens."""
    return f"runpass-sweeper:{organization_id}"


def audience(organization_id: UUID) -> str:
    """Give the `aud` of the sweeper's tokens."""
    return f"urn:runpass:sweeper:{organization_id}"


def role(organization_id: UUID) -> Role:
    """Give the role that accepts the sweeper's tokens of one organization, and no run's.

    SECURITY: audience, subject and `apiKeyType` each keep a run's token out on their own, since all of a run's differ.
    Without the default policy the token can do what `POLICY` says and nothing else; it ends by itself.
    """
    return Role(
        name=NAME,
        user_claim="sub",
        bound_audiences=(audience(organization_id),),
        bound_subject=subject(organization_id),
        bound_claims={"apiKeyType": API_KEY_TYPE, "organizationId": str(organization_id)},
        claim_mappings={"organizationId": "organizationId"},
        token_policies=(NAME,),
        token_ttl=LIFETIME,
        token_explicit_max_ttl=LIFETIME,
        token_no_default_policy=True,
    )


def with_sweeper(state: DesiredState, organization_id: UUID) -> DesiredState:
    """Give the state with the sweeper's role and its policy."""
    policy = Policy(name=NAME, text=POLICY)
    return replace(state, policies=(*state.policies, policy), roles=(*state.roles, role(organization_id)))
