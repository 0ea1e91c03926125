"""Secrets from KV engines and others: each is asked for once, and all failures are raised together.

The kind and version of an engine are asked from `sys/internal/ui/mounts`, which needs no more right than the read
itself, so one secret of a KV v2 engine costs two requests and every further one of the same engine costs one.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from runpass.clock import SYSTEM_CLOCK
from runpass.secret import Secret
from runpass.vault import paths
from runpass.vault.answer import VaultAnswer
from runpass.vault.client import VaultClient
from runpass.vault.errors import (
    ConnectionFailed,
    LoginRefused,
    Place,
    PolicyDenied,
    SecretDeleted,
    SecretDestroyed,
    SecretKeyMissing,
    SecretNotFound,
    SecretsUnavailable,
    SecretUnusable,
    TokenInvalid,
    VaultFailure,
    visible,
)
from runpass.vault.references import WHOLE, SecretReference, find_references, substitute
from runpass.vault.transport import timed_out
from runpass.vault.trial import read_by_trial

__all__ = ["SecretReference", "SecretsEngine", "find_references", "read_secrets", "substitute"]

Parameters = tuple[tuple[str, str], ...]
_OWN: Final = frozenset({"auth", "cubbyhole", "identity", "sys"})
ROUND_SECONDS: Final = 60.0
"""For all secrets of one round: a Vault that is slow with each of many must not hold a thread for their sum."""


@dataclass(frozen=True, slots=True)
class SecretsEngine:
    """Where an engine is mounted (without slashes at the ends) and how its secrets are read."""

    path: str
    version: int
    is_kv: bool = True

    def api_path(self, path: str) -> str:
        """Give where the API serves the secret that people call `path`."""
        below = path.removeprefix(f"{self.path}/")
        return f"{self.path}/data/{below}" if self.version == 2 else path  # noqa: PLR2004 -- KV version 2

    def holds(self, path: str) -> bool:
        """Whether `path` lies below this mount."""
        return path.startswith(f"{self.path}/")


def read_secrets(client: VaultClient, references: Iterable[SecretReference]) -> Mapping[SecretReference, Secret]:
    """Give the value of every reference; of a whole secret, all of it as compact JSON.

    A value that is not a string becomes its compact JSON. An engine that is not KV is read as it is written. What has
    parameters is written once, however many of its keys are asked for: they belong together.
    Raises `SecretsUnavailable` that lists every reference that failed, each with its own reason.
    """
    reader = _Reader(client)
    values: dict[SecretReference, Secret] = {}
    failures: list[tuple[SecretReference, VaultFailure]] = []
    for reference in dict.fromkeys(references):
        try:
            values[reference] = reader.value(reference)
        except VaultFailure as error:
            failures.append((reference, error))
    if failures:
        raise SecretsUnavailable(failures) from failures[0][1]
    return values


class _Reader:
    """One round of reading: what was asked once is not asked again, be it an answer or a failure."""

    def __init__(self, client: VaultClient) -> None:
        self._client = client
        self._mounts: dict[str, list[SecretsEngine]] = {}
        self._secrets: dict[tuple[str, str, Parameters], Mapping[str, Any] | VaultFailure] = {}
        self._broken: VaultFailure | None = None
        self._ends = SYSTEM_CLOCK.monotonic() + ROUND_SECONDS

    def value(self, reference: SecretReference) -> Secret:
        if self._broken is None and SYSTEM_CLOCK.monotonic() > self._ends:
            self._broken = timed_out(Place(self._client.address, self._client.namespace))
        if self._broken is not None:
            raise self._broken
        view = self._client.in_namespace(reference.namespace) if reference.namespace else self._client
        secret = self._secret(view, reference.path, reference.parameters)
        if reference.key == WHOLE:
            return _as_text(secret)
        if reference.key not in secret:
            raise SecretKeyMissing(
                f"the secret has no key {visible(reference.key, 255)}",
                hint="Check the key's name, case included; it is what follows the last dot.",
            )
        return _as_text(secret[reference.key])

    def _secret(self, view: VaultClient, path: str, parameters: Parameters) -> Mapping[str, Any]:
        where = (view.namespace, path, parameters)
        if where not in self._secrets:
            try:
                self._secrets[where] = self._ask(view, path, parameters)
            except (ConnectionFailed, TokenInvalid, LoginRefused) as error:
                self._broken = error  # the next read would fail the same way, perhaps after another long wait
                raise
            except VaultFailure as error:
                self._secrets[where] = error
        found = self._secrets[where]
        if isinstance(found, VaultFailure):
            raise found
        return found

    def _ask(self, view: VaultClient, path: str, parameters: Parameters) -> Mapping[str, Any]:
        if view.logs_in_inline:
            return self._try(view, path, parameters)
        mount = self._mount(view, path)
        return _write(view, mount, path, parameters) if parameters else _read(view, mount, path)

    def _try(self, view: VaultClient, path: str, parameters: Parameters) -> Mapping[str, Any]:
        if parameters:  # SECURITY: nobody can say that it is no KV engine, whose secret would be overwritten
            raise SecretUnusable(
                "inline authentication reads, and writes no parameters",
                hint="Use a credential without inlineAuth for it.",
            )
        known = self._mounts.setdefault(view.namespace, [])
        for engine in known:
            if engine.holds(path):
                return _read(view, engine, path)
        mounted, answer = read_by_trial(view, path)
        if not mounted:
            return answer.data
        known.append(SecretsEngine(mounted, 2))
        return _content(answer, known[-1], Place(view.address, view.namespace))

    def _mount(self, view: VaultClient, path: str) -> SecretsEngine:
        known = self._mounts.setdefault(view.namespace, [])
        for mount in known:
            if mount.holds(path):
                return mount
        known.append(find_mount(view, path))
        return known[-1]


def find_mount(client: VaultClient, path: str) -> SecretsEngine:
    """Give the engine that serves `path`, in one request that any token with a right below the mount may make."""
    try:
        answer = client.read(f"sys/internal/ui/mounts/{path}")
    except PolicyDenied as error:
        mount = visible(path.partition("/")[0], 255)
        raise PolicyDenied(
            f"no policy of this token reaches anything below {mount}/, or nothing is mounted there",
            hint="Check the mount's path and the namespace, and that a policy of the role allows reading the secret.",
            vault_error=error.vault_error,
            status=error.status,
        ) from error
    mounted = answer.data.get("path")
    options = answer.data.get("options")
    version = options.get("version") if isinstance(options, dict) else None
    # `kv` enabled without options answers `{}` and is version 1.
    # SECURITY: what it answers becomes a part of a URL.
    usable = isinstance(mounted, str) and mounted.strip("/") and mounted.isprintable()
    found = str(mounted).strip("/") if usable else path.partition("/")[0]
    kind = answer.data.get("type")
    return SecretsEngine(found, 2 if str(version) == "2" else 1, is_kv=kind in {None, "kv", "generic"})


def _read(client: VaultClient, mount: SecretsEngine, path: str) -> Mapping[str, Any]:
    api_path = mount.api_path(paths.checked(path))
    try:
        answer = client.read(api_path, accept={404})
    except PolicyDenied as error:
        raise PolicyDenied(
            f"no policy of this token allows reading {visible(api_path, 512)}",
            hint=f'Add: path "{visible(api_path, 512)}" {{ capabilities = ["read"] }} to a policy of the role.',
            vault_error=error.vault_error,
            status=error.status,
        ) from error
    return _content(answer, mount, Place(client.address, client.namespace))


def _content(answer: VaultAnswer, mount: SecretsEngine, place: Place) -> Mapping[str, Any]:
    if answer.status == 404:  # noqa: PLR2004 -- HTTP's own number
        raise _absent(answer, place)
    found = answer.data.get("data") if mount.version == 2 else answer.data  # noqa: PLR2004 -- KV version 2
    return found if isinstance(found, dict) else {}


def _write(client: VaultClient, mount: SecretsEngine, path: str, parameters: Parameters) -> Mapping[str, Any]:
    """Ask an engine for something made with these parameters.

    SECURITY: never a KV engine, whose secret a reference would overwrite, and never what rules the Vault itself.
    """
    if path.partition("/")[0] in _OWN:
        raise SecretUnusable(
            f"{visible(path, 255)} is a part of the Vault itself, which no reference writes to",
            hint="Parameters are for secrets engines, such as pki/issue/<role>.",
        )
    if mount.is_kv:
        raise SecretUnusable(
            f"{visible(mount.path, 255)}/ is a KV engine, which takes no parameters",
            hint="Leave out what follows the ?: the newest version is read.",
        )
    try:
        return client.write(paths.checked(path), dict(parameters)).data
    except PolicyDenied as error:
        raise PolicyDenied(
            f"no policy of this token allows writing {visible(path, 512)}",
            hint=f'Add: path "{visible(path, 512)}" {{ capabilities = ["update"] }} to a policy of the role.',
            vault_error=error.vault_error,
            status=error.status,
        ) from error


def _absent(answer: VaultAnswer, place: Place) -> SecretNotFound:
    """Tell a secret that never was from one whose newest version is deleted or destroyed (a 404 with a body)."""
    metadata = answer.data.get("metadata")
    if isinstance(metadata, dict) and metadata.get("destroyed") is True:
        return SecretDestroyed(
            "the newest version of the secret is destroyed", hint="Write the secret again.", status=answer.status
        )
    if isinstance(metadata, dict) and metadata.get("deletion_time"):
        return SecretDeleted(
            "the newest version of the secret is deleted",
            hint="Undelete it or write a new version.",
            status=answer.status,
        )
    return SecretNotFound(
        f"{place} has no such secret",
        hint="Check the path: it starts with the mount and is written without data/.",
        vault_error=answer.vault_error,
        status=answer.status,
    )


def _as_text(value: object) -> Secret:
    try:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        text.encode()
    except (UnicodeEncodeError, RecursionError):
        # SECURITY: raised without its cause, which holds the value.
        raise SecretUnusable(
            "the value is not text that UTF-8 can carry", hint="Write the value again, in base64 if it is not text."
        ) from None
    return Secret(text)
