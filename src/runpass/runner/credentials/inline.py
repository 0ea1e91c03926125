"""Reading with inline authentication: every request is a login of its own, and no token is ever made."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from runpass.protocol.credentials import VaultOidc
from runpass.runner.credentials.vault_oidc import VaultPools
from runpass.secret import Secret
from runpass.vault.errors import LoginRefused, SecretsUnavailable
from runpass.vault.inline import InlineLogin
from runpass.vault.references import SecretReference
from runpass.vault.secrets import read_secrets


async def read_inline(
    pools: VaultPools, credential: VaultOidc, jwt: Secret, references: tuple[SecretReference, ...]
) -> dict[SecretReference, Secret]:
    """Give the value of every reference. Raises the `LoginRefused` of a login, else what `read_secrets` raises.

    SECURITY: they are not masked yet; the caller does that before anything can show them.
    """
    return await asyncio.to_thread(_read, pools, credential, jwt, references)


def _read(
    pools: VaultPools, credential: VaultOidc, jwt: Secret, references: tuple[SecretReference, ...]
) -> dict[SecretReference, Secret]:
    client = pools.take(credential)
    login = InlineLogin(credential.jwt_auth_backend_path, credential.role_name, jwt, credential.namespace)
    try:
        found: Mapping[SecretReference, Secret] = read_secrets(
            client.with_inline_login(login).in_namespace(credential.reading_namespace), references
        )
        return dict(found)
    except SecretsUnavailable as error:
        with suppress(StopIteration):
            raise next(item for _, item in error.failures if isinstance(item, LoginRefused)) from error
        raise
    finally:
        pools.give_back(client)
