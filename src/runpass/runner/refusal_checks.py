"""What stands behind a refused login: the checks that failed, as far as the runner can know them.

The role's text cannot be read without a token, so what `runpass vault apply` recorded is explained, if it explains what
the Vault said. Else the Vault's own sentence names the check, and the run's token what it has there.
"""

import base64
import json
import re
from typing import Any, Final

from runpass.clock import Clock
from runpass.protocol.credentials import CredentialGrant
from runpass.protocol.reports import MAX_EXPLAINED, Explained
from runpass.secret import Secret
from runpass.vault.errors import LoginRefused, visible
from runpass.vault.explain import LoginCase, explain

MAX_TEXT: Final = 4_000
OUTDATED: Final = (
    "What was recorded when the role was written does not explain this: it has been changed since."
    " `runpass vault drift` shows how."
)
OTHER_ISSUER: Final = (
    "What was recorded is for tokens of {recorded}, and this one is of {issuer}: the organization's issuer has been"
    " changed since. `runpass vault apply --take-over` writes auth method and role for it."
)
_NAMED_CLAIM: Final = re.compile(r'claim "((?:[^"\\]|\\.)*)"')
_CLAIMS_OF: Final = {"issuer": "iss", "subject": "sub", "audience": "aud", "expired": "exp", "not_yet_valid": "nbf"}


def checks_of(error: LoginRefused, grant: CredentialGrant, jwt: Secret, clock: Clock) -> tuple[Explained, ...]:
    """Give the checks that failed. SECURITY: values of claims, never the token; what was expected only if recorded."""
    recorded = grant.recorded
    if recorded is None or not recorded.is_of(grant.value):
        return _from_words(error, jwt)
    case = LoginCase(
        role_name=grant.value.role_name,
        role=json.loads(recorded.role),
        config=json.loads(recorded.config),
        jwks=None,
        token=jwt,
        at=clock.now().timestamp(),
        mount=grant.value.jwt_auth_backend_path,
    )
    found = explain(case)
    if not any(sentence in (error.vault_error or "") for sentence in found.possible_errors):
        return (*_from_words(error, jwt), Explained(name="recorded role", passed=None, received=_why_not(case)))
    failed = (check for check in found.checks if check.passed is False)
    return tuple(
        Explained(
            name=check.name[:MAX_TEXT],
            passed=False,
            expected=check.expected[:MAX_TEXT],
            received=check.received[:MAX_TEXT],
            fix=check.fix[:MAX_TEXT] or None,
        )
        for check in failed
    )[:MAX_EXPLAINED]


def _why_not(case: LoginCase) -> str:
    """Give why what was recorded does not explain a refusal."""
    config: Any = case.config
    recorded = config.get("bound_issuer") if isinstance(config, dict) else None
    issuer = _claims(case.token).get("iss")
    if recorded and isinstance(recorded, str) and isinstance(issuer, str) and recorded != issuer:
        return OTHER_ISSUER.format(recorded=visible(recorded, 500), issuer=visible(issuer, 500))
    return OUTDATED


def _from_words(error: LoginRefused, jwt: Secret) -> tuple[Explained, ...]:
    name = error.code
    claim = _CLAIMS_OF.get(name)
    if claim is None:
        said = _NAMED_CLAIM.search(error.vault_error or "")
        claim = said[1] if said else None
    if claim is None:
        return (Explained(name=name, passed=False, fix=error.hint),)
    received = _shown(_claims(jwt).get(claim))
    return (Explained(name=f'{name} "{visible(claim, 255)}"', passed=False, received=received, fix=error.hint),)


def _shown(value: Any) -> str:
    return "missing" if value is None else visible(json.dumps(value, ensure_ascii=False), 500)


def _claims(jwt: Secret) -> dict[str, Any]:
    """Give the claims of the run's own token, which the server has just minted; empty for anything else."""
    try:
        body = jwt.reveal().split(".")[1]
        found = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (IndexError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
