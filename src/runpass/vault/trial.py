"""Reading a secret where nobody says how its engine is mounted: the paths it could have, tried one after the other.

`sys/internal/ui/mounts` tells it to whoever has a token, and inline authentication has none (OpenBao 2.7.2: 403).
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from runpass.vault import paths
from runpass.vault.answer import VaultAnswer
from runpass.vault.client import VaultClient
from runpass.vault.errors import Place, PolicyDenied, SecretNotFound, visible

MAX_DEPTH: Final = 4
"""Segments that the path of an engine is tried with."""
_NOT_FOUND: Final = 404


def read_by_trial(client: VaultClient, path: str) -> tuple[str, VaultAnswer]:
    """Give where the engine of KV version 2 is mounted, or nothing for another engine, and its answer.

    The answer may be the 404 of a deleted version. Raises `SecretNotFound` where something may be read and is not
    there, `PolicyDenied` where nothing may be read, and whatever else stops a request.
    """
    denied: PolicyDenied | None = None
    absent: VaultAnswer | None = None
    for mount, api_path in _candidates(paths.checked(path)):
        try:
            answer = client.read(api_path, accept={_NOT_FOUND})
        except PolicyDenied as error:
            denied = denied or error
            continue
        if _is_the_one(mount, answer):
            return mount, answer
        absent = answer
    if absent is not None:
        raise SecretNotFound(
            f"{Place(client.address, client.namespace)} has no such secret",
            hint="Check the path: it starts with the mount and is written without data/.",
            vault_error=absent.vault_error,
            status=absent.status,
        )
    first, _, rest = path.partition("/")
    raise PolicyDenied(
        f"no policy of the role allows reading {visible(path, 512)}",
        hint=f'Add: path "{visible(f"{first}/data/{rest}", 512)}" {{ capabilities = ["read"] }} to a policy of the'
        " role, for a KV engine of version 2.",
        vault_error=denied.vault_error if denied else None,
        status=denied.status if denied else None,
    ) from denied


def _candidates(path: str) -> Iterator[tuple[str, str]]:
    segments = path.split("/")
    splits = [("/".join(segments[:at]), "/".join(segments[at:])) for at in range(1, len(segments))][:MAX_DEPTH]
    first, *deeper = [(mount, f"{mount}/data/{rest}") for mount, rest in splits]
    yield from (first, ("", path), *deeper)


def _is_the_one(mount: str, answer: VaultAnswer) -> bool:
    """Whether this is the answer of the engine that holds the secret, be the newest version deleted or not."""
    if not mount:
        return answer.status != _NOT_FOUND
    metadata: object = answer.data.get("metadata")
    return isinstance(metadata, Mapping) and "version" in _keys(metadata) and "data" in answer.data


def _keys(found: Mapping[Any, Any]) -> set[str]:
    return {str(key) for key in found}
