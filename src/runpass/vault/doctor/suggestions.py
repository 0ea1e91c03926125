"""Did you mean: other spellings that exist, found with as little right as there is. Bounded in number."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from runpass.vault.client import VaultClient
from runpass.vault.doctor.examination import Examination
from runpass.vault.doctor.probes import ask
from runpass.vault.errors import NamespaceNotFound, PathInvalid, VaultFailure, visible
from runpass.vault.secrets import SecretsEngine
from runpass.vault.spelling import MAX_FOUND, MAX_NAME, nearest

USUAL_MOUNTS: Final = ("jwt", "oidc", "runpass", "env0")
MAX_TRIES: Final = 10


def missing_namespace(client: VaultClient, namespace: str) -> str | None:
    """Give the first namespace on the way down that does not exist; None if all do."""
    parts = namespace.split("/") if namespace else []
    for depth in range(len(parts)):
        part = "/".join(parts[: depth + 1])
        if not _has(client, part):
            return part
    return None


def other_namespace(client: VaultClient, namespace: str) -> str | None:
    """Give a namespace of another spelling that exists."""
    return next((name for name in _spellings(namespace) if _has(client, name)), None)


def _has(client: VaultClient, namespace: str) -> bool:
    try:
        client.in_namespace(namespace).read("auth/token/lookup-self", accept={400, 403, 404})
    except (NamespaceNotFound, PathInvalid):
        return False
    return True


def mounts(exam: Examination, mount: str) -> list[str]:
    """Give paths at which a JWT auth method answers, in words."""
    names = [*_spellings(mount), *_listed(exam, "sys/auth"), *(name for name in USUAL_MOUNTS if name != mount)]
    tried = list(dict.fromkeys(names))[:MAX_TRIES]
    found = [visible(f"auth/{name}", MAX_NAME) for name in tried if not exam.is_over and _is_jwt(exam.client, name)]
    elsewhere = (name for name in _other_namespaces(exam) if _is_jwt(exam.client.in_namespace(name), mount))
    found += [visible(f"auth/{mount} in {_named(name)}", MAX_NAME) for name in elsewhere]
    return found[:MAX_FOUND]


def _named(namespace: str) -> str:
    return f"namespace {namespace}" if namespace else "the root namespace"


def _other_namespaces(exam: Examination) -> Iterator[str]:
    here = exam.client.namespace
    parent = here.rpartition("/")[0]
    yield from (name for name in dict.fromkeys((exam.target.reading_namespace, parent, "")) if name.strip("/") != here)


def _is_jwt(client: VaultClient, mount: str) -> bool:
    with suppress(VaultFailure):
        return ask(client, mount, {}).is_jwt_method
    return False


def _listed(exam: Examination, path: str) -> list[str]:
    """Give what an operator's token may see mounted, JWT methods alone."""
    for client in exam.readers():
        with suppress(VaultFailure):
            return [
                name.strip("/")
                for name, item in client.read(path).data.items()
                if isinstance(item, dict) and item.get("type") in {"jwt", "oidc"}
            ]
    return []


def roles(exam: Examination, mount: str, role: str) -> list[str]:
    """Give names of roles that exist."""
    for client in exam.readers():
        with suppress(VaultFailure):
            keys = client.list(f"auth/{mount}/role").data.get("keys")
            return nearest(role, keys if isinstance(keys, list) else ())
    found = []
    for name in list(_spellings(role))[:MAX_TRIES]:
        with suppress(VaultFailure):
            if not exam.is_over and "missing token" in ask(exam.client, mount, {"role": name}).text:
                found.append(visible(name, MAX_NAME))
    return found[:MAX_FOUND]


def _spellings(name: str) -> Iterator[str]:
    """Give the ways in which a name is usually written wrongly, put right."""
    tries = (
        name.strip(), name.lower(), name.removeprefix("auth/"), name.removesuffix("/login"), name.replace("_", "-"),
        name.replace("-", "_"), name.strip("/").rpartition("/")[2], name.removesuffix("s"), f"{name}s",
        name.lower().replace("_", "-"),
    )  # fmt: skip
    yield from (text for text in dict.fromkeys(tries) if text and text != name)


def reachable_paths(client: VaultClient) -> list[str]:
    """Give the paths that the token's policies name, as people write secrets: without the `data/` of KV version 2."""
    with suppress(VaultFailure):
        acl = client.read("sys/internal/ui/resultant-acl").data
        rules = [acl.get(kind) for kind in ("exact_paths", "glob_paths")]
        named = (path for part in rules if isinstance(part, dict) for path in part)
        return [path.replace("/data/", "/", 1).replace("/metadata/", "/", 1) for path in named]
    return []


def secret_mounts(client: VaultClient) -> list[str]:
    """Give the secrets engines that the token can see something of."""
    with suppress(VaultFailure):
        found = client.read("sys/internal/ui/mounts").data.get("secret")
        return [name.strip("/") for name in found] if isinstance(found, dict) else []
    return []


def secret_paths(client: VaultClient, path: str) -> list[str]:
    """Give paths that the token reaches and that look like this one, whose engine it does not reach."""
    first, _, rest = path.partition("/")
    engines = nearest(first, (name for name in secret_mounts(client) if "/" not in name))
    found = [f"{mount}/{rest}" for mount in engines if mount != first]
    found += [name for name in nearest(path, (name.rstrip("*/") for name in reachable_paths(client))) if name != path]
    return list(dict.fromkeys(found))[:MAX_FOUND]


def siblings(client: VaultClient, engine: SecretsEngine, path: str) -> list[str]:
    """Give secrets beside this one, if the token may list them."""
    folder, _, name = path.rpartition("/")
    below = folder.removeprefix(engine.path).strip("/")
    where = "/".join(part for part in (engine.path, "metadata" if engine.version > 1 else "", below) if part)
    with suppress(VaultFailure):
        keys = client.list(where).data.get("keys")
        return [f"{folder}/{item}" for item in nearest(name, keys if isinstance(keys, list) else ())]
    return []
