"""Real services for tests. PostgreSQL is in `services_postgresql`."""

import os
import shutil
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from runpass.errors import ConfigurationError
from runpass.local.openbao import DevOpenBao
from runpass.local.openbao_binary import OPENBAO_VERSION
from runpass.secret import Secret
from runpass.vault.client import VaultClient


def missing(service: str, why: str) -> None:
    """Skip the test, unless missing services are a failure (`REQUIRE_SERVICES=1`, as in CI)."""
    if os.environ.get("REQUIRE_SERVICES") == "1":
        pytest.fail(f"{service} is missing and REQUIRE_SERVICES=1: {why}", pytrace=False)
    pytest.skip(f"{service} is missing: {why}")


BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def browser_on_path() -> str | None:
    """Give the Chromium that this machine has."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def needs(*programs: str) -> None:
    """Skip the test where these are not on PATH: unlike the services above, not every machine can have them."""
    if absent := [name for name in programs if shutil.which(name) is None]:
        pytest.skip(f"not on PATH: {', '.join(absent)}")


def openbao_version() -> str:
    return OPENBAO_VERSION


class OtherVault:
    """A Vault that somebody else runs, with what the tests ask of `DevOpenBao`.

    It must reach this machine, where the tests' issuers are.
    """

    def __init__(self, address: str, root_token: Secret) -> None:
        self.address = address
        self.root_token = root_token

    def root(self, *, namespace: str = "") -> VaultClient:
        return VaultClient(self.address, namespace=namespace, token=self.root_token)

    def client(self, token: Secret | None = None, *, namespace: str = "") -> VaultClient:
        return VaultClient(self.address, namespace=namespace, token=token)


@pytest.fixture(scope="session")
def openbao() -> Iterator[DevOpenBao | OtherVault]:
    """A dev OpenBao of this test process; tests share it, so each one uses names of its own (`unique`).

    With `VAULT_TEST_ADDR` and `VAULT_TEST_TOKEN` (a root token) it is that Vault instead.
    """
    if other := os.environ.get("VAULT_TEST_ADDR"):
        yield OtherVault(other, Secret(os.environ["VAULT_TEST_TOKEN"]))
        return
    server = DevOpenBao()
    try:
        server.start()
    except ConfigurationError as error:
        missing("OpenBao", f"{error.message} ({error.hint})")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def vault_root(openbao: DevOpenBao) -> Iterator[VaultClient]:
    """The operator: a client with the root token."""
    with openbao.root() as client:
        yield client


@pytest.fixture(scope="session")
def vault(openbao: DevOpenBao) -> Iterator[VaultClient]:
    """A client without a token."""
    with openbao.client() as client:
        yield client


@pytest.fixture
def unique() -> Callable[[str], str]:
    """Names that no other test uses: `unique("jwt")` gives `jwt-1f0c9a2e`, another one each time."""

    def name(prefix: str) -> str:
        return f"{prefix}-{uuid4().hex[:8]}"

    return name


@pytest.fixture
def jwt_mount(vault_root: VaultClient, unique: Callable[[str], str]) -> Iterator[str]:
    """A fresh JWT auth mount, not configured yet."""
    mount = unique("jwt")
    vault_root.write(f"sys/auth/{mount}", {"type": "jwt"})
    yield mount
    vault_root.delete(f"sys/auth/{mount}")


@pytest.fixture
def kv_mount(vault_root: VaultClient, unique: Callable[[str], str]) -> Iterator[str]:
    """A fresh KV version 2 engine."""
    mount = unique("kv")
    vault_root.write(f"sys/mounts/{mount}", {"type": "kv", "options": {"version": "2"}})
    yield mount
    vault_root.delete(f"sys/mounts/{mount}")


@pytest.fixture
def kv1_mount(vault_root: VaultClient, unique: Callable[[str], str]) -> Iterator[str]:
    """A fresh KV version 1 engine."""
    mount = unique("kv1")
    vault_root.write(f"sys/mounts/{mount}", {"type": "kv"})
    yield mount
    vault_root.delete(f"sys/mounts/{mount}")
