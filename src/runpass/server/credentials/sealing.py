"""Between a credential's record and its row: what is secret is encrypted for the very row it stands in."""

import json
from collections.abc import Iterable

from runpass.ids import CredentialId, OrganizationId
from runpass.protocol.credentials import Credential, CredentialGrant, RecordedRole, VaultOidc, parse
from runpass.secret import Secret
from runpass.server.credentials.model import SealedValue, StoredCredential
from runpass.server.db.encryption import Cipher, Place


def seal(
    cipher: Cipher, credential_id: CredentialId, organization_id: OrganizationId, value: Credential
) -> SealedValue:
    """Give what is stored of a value: its secret fields encrypted, the others as they are."""
    fields = type(value).model_fields
    secrets = {name: item for name in fields if isinstance(item := getattr(value, name), Secret)}
    clear = value.model_dump(mode="json", by_alias=True, exclude=set(secrets), exclude_none=True)
    if not secrets:
        return SealedValue(clear)
    content = json.dumps({fields[name].alias: item.reveal() for name, item in secrets.items()}).encode()
    return SealedValue(clear, cipher.seal(content, _place(credential_id, organization_id)))


def unseal(cipher: Cipher, credential: StoredCredential) -> Credential:
    """Give the record of a stored credential, secrets included: for whoever uses it, never for a list."""
    stored, secrets = credential.value, {}
    if stored.secret is not None:
        secrets = json.loads(cipher.unseal(stored.secret, _place(credential.id, credential.organization_id)))
    return parse(credential.kind, {**stored.clear, **secrets})


def grants(cipher: Cipher, credentials: Iterable[StoredCredential]) -> tuple[CredentialGrant, ...]:
    """Give what a run lease carries of these credentials: those that a runner can use, with their secrets."""
    opened = ((item, unseal(cipher, item)) for item in credentials)
    return tuple(
        CredentialGrant(
            credential_id=item.id,
            name=item.name,
            kind=item.kind,
            value=value,
            recorded=RecordedRole.model_validate(item.recorded) if item.recorded else None,
        )
        for item, value in opened
        if isinstance(value, VaultOidc)
    )


def _place(credential_id: CredentialId, organization_id: OrganizationId) -> Place:
    return Place("credentials", "secret_sealed", str(credential_id), organization_id)
