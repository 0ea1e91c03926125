"""What must hold of a credential beyond its shape."""

from collections.abc import Iterable

from runpass.errors import InvalidInput
from runpass.protocol.credentials import SERVED, Credential, CredentialKind, VaultOidc
from runpass.server.credentials.model import StoredCredential
from runpass.server.tenancy.model import Organization


def check_clear_text(value: Credential, organization: Organization) -> None:
    """Refuse an `http://` Vault on another machine, unless the organization's policy allows it.

    Raises `InvalidInput` for `value.address`.
    """
    if isinstance(value, VaultOidc) and value.is_clear_text and not organization.allow_clear_text_vault:
        raise InvalidInput.of(
            "value.address",
            "must be https: over http the Vault token would cross the network in clear text"
            " (the organization policy allowClearTextVault permits it)",
        )


def clear_text_refusal(credentials: Iterable[StoredCredential], organization: Organization | None) -> str | None:
    """Give the sentence that refuses these credentials, or None: the policy may have been taken back since.

    SECURITY: without an organization nothing is permitted.
    """
    if organization is not None and organization.allow_clear_text_vault:
        return None
    vaults = (item for item in credentials if item.kind is CredentialKind.VAULT_OIDC)
    name = next((item.name for item in vaults if item.value.is_clear_text), None)
    if name is None:
        return None
    return (
        f"the credential {name} names an http:// Vault on another machine, which the organization policy"
        " allowClearTextVault does not permit (any more)"
    )


def unserved(credentials: Iterable[StoredCredential]) -> str | None:
    """Give the sentence that refuses these effective credentials because no runner can use some of them, or None.

    Two of one kind are both named. Two that a runner could use are refused by the runner, which logs in with neither.
    """
    names: dict[CredentialKind, list[str]] = {}
    for item in credentials:
        if item.kind not in SERVED:
            names.setdefault(item.kind, []).append(item.name)
    if not names:
        return None
    said = "; ".join(f"{kind.value} ({' and '.join(sorted(found))})" for kind, found in sorted(names.items()))
    return f"no runner serves credentials of these types yet, and the project has them assigned: {said}"
