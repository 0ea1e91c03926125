"""Credential kinds: the one class per kind that request, database, run lease, runner and form all share.

Field names are env0's (its provider's `client/cloud_credentials.go` and `client/kubernetes_credentials.go`); fields of
our own stand behind them and are optional. One module per family; `parsing` decides which class a value is.
"""

from runpass.protocol.credentials.fields import TokenFormat, audience
from runpass.protocol.credentials.kinds import COST_KINDS, SERVED, CredentialKind
from runpass.protocol.credentials.parsing import CLASSES, Credential, CredentialGrant, RecordedRole, parse
from runpass.protocol.credentials.vault_oidc import VaultOidc, is_clear_text, is_loopback

__all__ = [
    "CLASSES",
    "COST_KINDS",
    "SERVED",
    "Credential",
    "CredentialGrant",
    "CredentialKind",
    "RecordedRole",
    "TokenFormat",
    "VaultOidc",
    "audience",
    "is_clear_text",
    "is_loopback",
    "parse",
]
