"""What the claims of an identity token mean to a role that binds them. Pure.

The claims themselves are the issuer's (docs/reference/claims.md); a test holds this list against it.
"""

from typing import Final

ORGANIZATION: Final = ("organizationId", "organization", "sub")
"""Each of them is the organization's id."""
IDS: Final = frozenset(
    {*ORGANIZATION, "projectId", "templateId", "environmentId", "deploymentLogId", "credentialId", "runnerId", "jti"}
)
UUIDS: Final = IDS - {"sub", "jti"}
NAMES: Final = {
    "organizationName": "organizationId",
    "projectName": "projectId",
    "templateName": "templateId",
    "environmentName": "environmentId",
    "workspaceName": "environmentId",
    "deployerEmail": "",
}
"""Claims that people change, and the id to bind instead."""
SHARED: Final = frozenset(
    {
        *ORGANIZATION, "iss", "aud", "apiKeyType", "deploymentType", "phase", "credentialId", "env0Tag", "runnerPool",
        "runnerIsolation",
    }
)  # fmt: skip
"""Claims that have one value for many environments."""
PER_RUN: Final = frozenset({"jti", "deploymentLogId"})
NUMBERS: Final = frozenset({"iat", "nbf", "exp"})
"""The only claims that are not strings."""
OTHERS: Final = frozenset({"iss", "aud", "repository", "revision", "commit"})
KNOWN: Final = IDS | SHARED | PER_RUN | NUMBERS | OTHERS | (frozenset(NAMES) - {"organizationName"})
SWEEPER: Final = "runpass-sweeper"
"""The `apiKeyType` of the control plane's own tokens, which belong to no project and no run."""


def claim_of(key: str) -> str:
    """Give the claim that a key of `bound_claims` or `user_claim` means, be it a JSON pointer (RFC 6901) or a name."""
    if not key.startswith("/") or "/" in key[1:]:
        return key
    return key[1:].replace("~1", "/").replace("~0", "~")
