"""Opening what the settings say about a provider. Nothing is asked of the provider yet: it may start after us."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from runpass.clock import Clock
from runpass.errors import ConfigurationError
from runpass.secret import Secret
from runpass.server.openid.id_tokens import IdTokens
from runpass.server.openid.provider import Provider
from runpass.server.openid.roles import GroupRoles, read_roles
from runpass.server.settings import ServerSettings

AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class OpenId:
    """A provider, how its tokens are checked, and what its groups mean."""

    provider: Provider
    id_tokens: IdTokens
    roles: GroupRoles
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    """A provider that hangs keeps this many threads of a process, and not all."""


def open_openid(settings: ServerSettings, clock: Clock) -> OpenId | None:
    """Give the provider; None where the settings name none. Raises `ConfigurationError`."""
    if not settings.openid_issuer or settings.openid_roles_file is None:
        return None
    roles = read_roles(settings.openid_roles_file)
    provider = Provider(settings, _client_secret(settings), clock)
    return OpenId(provider, IdTokens(provider, settings.openid_groups_claim, clock), roles)


def _client_secret(settings: ServerSettings) -> Secret | None:
    file = settings.openid_client_secret_file
    return settings.openid_client_secret if file is None else _read(file)


def _read(file: Path) -> Secret:
    try:
        text = file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigurationError(f"openid_client_secret_file {file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ConfigurationError(f"openid_client_secret_file {file} is not text") from None
    if not text:
        raise ConfigurationError(f"openid_client_secret_file {file} is empty")
    return Secret(text)
