"""Reads an auth method and its roles with an operator's token, and says what that token may not read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from runpass.vault import paths
from runpass.vault.client import VaultClient
from runpass.vault.errors import (
    ConnectionFailed,
    MountNotFound,
    PolicyDenied,
    RequestRefused,
    SecretNotFound,
    VaultFailure,
    visible,
)
from runpass.vault.lint.model import MountFacts
from runpass.vault.lint.view import Mount, Role
from runpass.vault.refusals import RoleNotFound
from runpass.vault.spelling import nearest

MAX_ROLES: Final = 500
UNCHANGED: Final = (PolicyDenied, SecretNotFound, RequestRefused)


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read, and a sentence for everything that could not be."""

    facts: MountFacts
    unread: tuple[str, ...] = ()


def read_facts(client: VaultClient, mount: str, role: str | None = None) -> Reading:
    """Give one role, or all of them, with what surrounds them. Nothing is written, and no role is logged in as.

    Raises `RoleNotFound`, `MountNotFound` and `PolicyDenied` for what is asked for; what surrounds it may stay unread.
    """
    reader = _Reader(client, paths.checked(mount, "auth mount path"))
    return reader.read(role)


class _Reader:
    def __init__(self, client: VaultClient, mount: str) -> None:
        self._client = client
        self._mount = mount
        self._unread: list[str] = []

    def read(self, role: str | None) -> Reading:
        roles, cel_roles = self._all() if role is None else self._one(role)
        facts = MountFacts(
            mount=self._mount,
            namespace=self._client.namespace,
            roles=roles,
            cel_roles=cel_roles,
            tuning=self._optional(f"sys/mounts/auth/{self._mount}/tune", "how the method is mounted"),
            policies=self._policies(roles),
            # The last one: a method that discovers its keys reads its config only when its issuer answers.
            config=self._config(),
        )
        return Reading(facts, tuple(dict.fromkeys(self._unread)))

    def _one(self, role: str) -> tuple[dict[str, Any], dict[str, Any]]:
        name = paths.checked(role, "role").lower()
        try:
            return {name: self._client.read(f"auth/{self._mount}/role/{name}").data}, {}
        except MountNotFound:
            raise
        except SecretNotFound as error:
            cel = self._optional(f"auth/{self._mount}/cel/role/{name}", "", expected=True)
            if cel is not None:
                return {}, {name: cel}
            raise self._no_role(name, error) from error

    def _all(self) -> tuple[dict[str, Any], dict[str, Any]]:
        base = f"auth/{self._mount}"
        names, cel_names = self._names(f"{base}/role"), self._names(f"{base}/cel/role", expected=True)
        return self._each(f"{base}/role", names), self._each(f"{base}/cel/role", cel_names)

    def _each(self, base: str, names: list[str]) -> dict[str, Any]:
        if len(names) > MAX_ROLES:
            self._unread.append(f"{len(names) - MAX_ROLES} of {len(names)} roles: too many for one reading")
        found = {name: self._optional(f"{base}/{name}", f"role {name}") for name in names[:MAX_ROLES]}
        return {name: data for name, data in found.items() if data is not None}

    def _names(self, path: str, *, expected: bool = False) -> list[str]:
        """Give the names below a path; `expected`: that it cannot be listed is no news (Vault has no CEL roles)."""
        try:
            keys = self._client.list(path).data.get("keys")
        except MountNotFound:
            raise
        except SecretNotFound:
            return []
        except (PolicyDenied, RequestRefused):
            if expected:
                return []
            raise
        return [key for key in keys if isinstance(key, str) and _is_name(key)] if isinstance(keys, list) else []

    def _no_role(self, name: str, error: VaultFailure) -> RoleNotFound:
        try:
            known = self._names(f"auth/{self._mount}/role")
        except VaultFailure:
            known = []
        near = nearest(name, known)
        hint = f"Did you mean {' or '.join(near)}?" if near else RoleNotFound.advice
        message = f"auth/{visible(self._mount, 255)} has no role {visible(name, 255)}"
        return RoleNotFound(message, hint=hint, vault_error=error.vault_error, status=error.status)

    def _config(self) -> Mapping[str, Any] | None:
        try:
            return self._optional(f"auth/{self._mount}/config", "config")
        except ConnectionFailed as error:
            self._unread.append(f"config: {error.message}")
            return None

    def _policies(self, roles: Mapping[str, Mapping[str, Any]]) -> dict[str, str | None]:
        names = sorted({name for data in roles.values() for name in Role(data, mount=Mount()).policies} - {"root"})
        found: dict[str, str | None] = {}
        for name in names:
            if not _is_name(name) or "{{" in name:
                continue
            try:
                text = self._client.read(f"sys/policies/acl/{name}").data.get("policy")
                found[name] = text if isinstance(text, str) else ""
            except SecretNotFound:
                found[name] = None
            except (PolicyDenied, RequestRefused):
                self._unread.append(f"policy {visible(name, 255)}: the token may not read it")
        return found

    def _optional(self, path: str, what: str, *, expected: bool = False) -> Mapping[str, Any] | None:
        try:
            return self._client.read(path).data
        except UNCHANGED as error:
            if not expected:
                why = "it is not there" if isinstance(error, SecretNotFound) else "the token may not read it"
                self._unread.append(f"{visible(what, 255)}: {why}")
            return None


def _is_name(name: str) -> bool:
    try:
        return paths.checked(name) == name
    except VaultFailure:
        return False
