"""What must hold of a credential beyond its shape."""

from runpass.errors import InvalidInput
from runpass.protocol.credentials import Credential
from runpass.server.tenancy.model import Organization


def check_clear_text(value: Credential, organization: Organization) -> None:
    """Refuse an `http://` Vault on another machine, unless the organization's policy allows it.

    Raises `InvalidInput` for `value.address`.
    """
    if value.is_clear_text and not organization.allow_clear_text_vault:
        raise InvalidInput.of(
            "value.address",
            "must be https: over http the Vault token would cross the network in clear text"
            " (the organization policy allowClearTextVault permits it)",
        )
