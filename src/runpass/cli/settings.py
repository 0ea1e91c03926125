"""The client's settings: environment (`RUNPASS_*`), file → one frozen `ClientSettings`, and the API key they lead to.

The only module of the command line that reads the environment.
"""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from runpass.configuration import Loaded, load
from runpass.errors import ConfigurationError
from runpass.protocol.credentials import is_loopback
from runpass.protocol.wire import Record
from runpass.secret import Secret

PREFIX = "RUNPASS_"
FILE_VARIABLE = "RUNPASS_CLIENT_SETTINGS"
VAULT_TOKENS = ("BAO_TOKEN", "VAULT_TOKEN")
"""Where `runpass vault setup` finds the operator's token, as the command lines of OpenBao and Vault do."""


class ClientSettings(BaseModel):
    """Everything the commands that talk to a server can be told."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: str = Field(
        default="http://127.0.0.1:8440",
        max_length=2048,
        description="Where the server answers, without a trailing slash; https unless it is this machine.",
    )
    api_key_id: str = Field(default="", max_length=255, description="The API key's id.")
    api_key_secret: Secret | None = Field(default=None, description="The API key's secret.")
    api_key_file: Path | None = Field(
        default=None,
        description="File (0600) with id and secret, as `runpass init --output` writes it. Used where no id is set.",
    )
    organization_id: UUID | None = Field(
        default=None, description="The organization. Empty: the key file's, or the one that the key belongs to."
    )
    ca_bundle: Path | None = Field(
        default=None, description="PEM file of certificate authorities that the server's certificate may come from."
    )
    timeout_seconds: float = Field(default=30.0, gt=0, le=600, description="How long one answer may take.")

    @model_validator(mode="before")
    @classmethod
    def _drop_empty(cls, values: Any) -> Any:
        return {key: value for key, value in values.items() if value != ""} if isinstance(values, dict) else values

    @field_validator("url")
    @classmethod
    def _check_url(cls, value: str) -> str:
        try:
            parts = urlsplit(value)
            host, _ = parts.hostname, parts.port
        except ValueError:
            raise ValueError("must be a plain http(s) URL") from None
        if parts.scheme not in {"http", "https"} or not host or parts.query or parts.fragment or "@" in parts.netloc:
            raise ValueError("must be a plain http(s) URL")
        # SECURITY: the API key's secret is in every request.
        if parts.scheme == "http" and not is_loopback(host):
            raise ValueError("must be https unless it is this machine alone")
        return value.rstrip("/")


class KeyFile(Record):
    """An API key as `runpass init` and `runpass api-key create` write it."""

    organization_id: UUID | None = None
    api_key_id: str = Field(min_length=1, max_length=255)
    api_key_secret: Secret


@dataclass(frozen=True, slots=True)
class Access:
    """Who calls, and for which organization (None: ask the server)."""

    api_key_id: str
    api_key_secret: Secret
    organization_id: UUID | None


def load_settings(*, file: Path | None = None, environment: Mapping[str, str] | None = None) -> Loaded[ClientSettings]:
    """Give the client's settings; `file` defaults to what `RUNPASS_CLIENT_SETTINGS` names.

    Raises `ConfigurationError` that names every bad setting.
    """
    environment = os.environ if environment is None else environment  # noqa: TID251 -- settings.py may
    named = environment.get(FILE_VARIABLE)
    where = file or (Path(named) if named else None)
    return load(ClientSettings, environment=environment, prefix=PREFIX, file=where)


def access(settings: ClientSettings) -> Access:
    """Give the API key that the settings lead to.

    Raises `ConfigurationError` when there is none, when half of it is missing, or when its file is open to others.
    """
    if settings.api_key_id and settings.api_key_secret:
        return Access(settings.api_key_id, settings.api_key_secret, settings.organization_id)
    if settings.api_key_id or settings.api_key_secret:
        missing = "RUNPASS_API_KEY_SECRET" if settings.api_key_id else "RUNPASS_API_KEY_ID"
        raise ConfigurationError(f"half of the API key is missing: {missing}")
    if settings.api_key_file is None:
        raise ConfigurationError(
            "there is no API key", hint="set RUNPASS_API_KEY_FILE, or RUNPASS_API_KEY_ID and RUNPASS_API_KEY_SECRET"
        )
    key = read_key_file(settings.api_key_file)
    return Access(key.api_key_id, key.api_key_secret, settings.organization_id or key.organization_id)


def read_key_file(path: Path) -> KeyFile:
    """Give what a key file holds. Raises `ConfigurationError` for one that others may read, or that is not one."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"the API key file {path} cannot be read: {error.strerror}") from error
    if mode & 0o077:
        hint = f"run: chmod 0600 {path}"
        raise ConfigurationError(f"the API key file {path} is open to others (mode {mode:04o})", hint=hint)
    try:
        return KeyFile.model_validate_json(content)
    except ValidationError:
        # SECURITY: the cause would carry the file's content.
        raise ConfigurationError(
            f"the API key file {path} is not one", hint="it is what runpass init --output writes"
        ) from None


def vault_token(environment: Mapping[str, str] | None = None) -> Secret | None:
    """Give the operator's Vault token from the environment, if there is one."""
    environment = os.environ if environment is None else environment  # noqa: TID251 -- settings.py may
    found = next((environment[name] for name in VAULT_TOKENS if environment.get(name)), None)
    return Secret(found.strip()) if found else None
