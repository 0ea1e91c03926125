"""What a refused run is told when the recorded role does not explain the refusal."""

import base64
import json

from runpass.clock import SYSTEM_CLOCK
from runpass.ids import new_id
from runpass.protocol.credentials import CredentialGrant, CredentialKind, RecordedRole, VaultOidc
from runpass.runner.refusal_checks import OUTDATED, checks_of
from runpass.secret import Secret
from runpass.vault.errors import LoginRefused

SHARED, OWN = "https://id.example.com/", "https://id.example.com/o/0198/"
SIGNATURE = "error validating token: no known key successfully validated the token signature"


def told(config: object, issuer: str) -> str | None:
    """Give what is said of the recorded role, when a Vault knows no key for a token of this issuer."""
    value = VaultOidc(
        address="https://vault.example.com", role_name="deploy", jwt_auth_backend_path="jwt", version="KV_V2"
    )
    role = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["x"]}
    recorded = RecordedRole(role_name="deploy", mount="jwt", role=json.dumps(role), config=json.dumps(config))
    grant = CredentialGrant(
        credential_id=new_id(), name="vault", kind=CredentialKind.VAULT_OIDC, value=value, recorded=recorded
    )
    body = base64.urlsafe_b64encode(json.dumps({"iss": issuer, "sub": "x"}).encode()).rstrip(b"=").decode()
    error = LoginRefused("refused", vault_error=SIGNATURE)
    checks = checks_of(error, grant, Secret(f"e30.{body}.c2ln"), SYSTEM_CLOCK)
    return next((check.received for check in checks if check.name == "recorded role"), None)


def test_a_change_of_the_issuer_is_told_as_one():
    said = told({"bound_issuer": SHARED, "jwks_url": f"{SHARED}.well-known/jwks.json"}, OWN)
    assert said is not None
    assert f"for tokens of {SHARED}, and this one is of {OWN}: the organization's issuer has been changed" in said
    assert "runpass vault apply" in said


def test_a_change_of_the_role_is_told_as_one():
    for config in ({"bound_issuer": SHARED}, {}, {"bound_issuer": ""}, {"bound_issuer": 7}):
        assert told(config, SHARED) == OUTDATED
