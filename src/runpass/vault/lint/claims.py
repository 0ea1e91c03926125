"""What the claims of an identity token mean to a role that binds them. Pure.

The claims themselves are the issuer's (docs/reference/claims.md); a test holds this list against it.
"""

import re
from collections.abc import Mapping
from typing import Final

_UUID: Final = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
ORGANIZATION: Final = ("organizationId", "organization", "sub")
"""Each of them is the organization's id, or begins with it (`sub` from a template)."""
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
OTHERS: Final = frozenset({"iss", "aud", "repository", "revision", "commit", "https://aws.amazon.com/tags"})
KNOWN: Final = IDS | SHARED | PER_RUN | NUMBERS | OTHERS | (frozenset(NAMES) - {"organizationName"})
ENV0_PREFIX: Final = "https://env0.com/"
"""Of env0's older names for the same claims."""
_SUBJECT: Final = re.compile(rf"({_UUID})((?::[a-zA-Z]+:{_UUID})+)")
_WITHIN: Final = re.compile(f"{_UUID}:")
SWEEPER: Final = "runpass-sweeper"
"""The `apiKeyType` of the control plane's own tokens, which belong to no project and no run."""


def claim_of(key: str) -> str:
    """Give the claim that a key of `bound_claims` or `user_claim` means, be it a JSON pointer (RFC 6901) or a name."""
    plain = key.startswith("/") and "/" not in key[1:]
    name = key[1:].replace("~1", "/").replace("~0", "~") if plain else key
    return name.removeprefix(ENV0_PREFIX)


def within_organization(pattern: str) -> bool:
    """Whether a pattern for `sub` fits the subjects of one organization only, made from a template."""
    return _WITHIN.match(pattern) is not None


def subject_parts(subject: str) -> Mapping[str, str]:
    """Give the claims that a `sub` from a template is made of; nothing for any other text, patterns included."""
    found = _SUBJECT.fullmatch(subject)
    if found is None:
        return {}
    names = found[2].split(":")[1:]
    return {"organizationId": found[1], **dict(zip(names[::2], names[1::2], strict=True))}
