"""A Vault behind TLS that asks for a client certificate: who is let in, whom the runner lets itself be answered by."""

import asyncio
import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from authority import Authority
from factories import vault_oidc
from runpass.errors import ConfigurationError
from runpass.local.openbao import DevOpenBao, free_port
from runpass.protocol.credentials import VaultOidc
from runpass.runner.credentials.account import LoginAccount
from runpass.runner.credentials.vault_oidc import VaultLogins, VaultPools
from runpass.runner.identity import LoginIdentity
from runpass.runner.masking import Mask
from runpass.secret import Secret
from runpass.vault import transport
from runpass.vault.client import VaultClient
from runpass.vault.errors import TlsFailed, VaultFailure
from runpass.vault.references import SecretReference
from runpass.vault.transport import Tls
from services import missing
from throwaway_issuer import AUDIENCE, ThrowawayIssuer

NAME = "vault.internal.test"
NAMESPACE = "team"
SECRETS = "team/secrets"
POLICY = 'path "secrets/kv/data/app" { capabilities = ["read"] }'


class TlsOpenBao(DevOpenBao):
    """OpenBao with a second door: TLS, for holders of a client certificate alone."""

    def __init__(self, directory: Path, authority: Authority) -> None:
        super().__init__()
        self._config = directory / "tls.hcl"
        self.tls_port = free_port()
        server = authority.server(NAME)
        files = {"ca": authority.certificate, "leaf": server.certificate, "key": server.key}
        for name, text in files.items():
            (directory / f"{name}.pem").write_text(text)
        self._config.write_text(f"""
            listener "tcp" {{
              address = "127.0.0.1:{self.tls_port}"
              tls_cert_file = "{directory}/leaf.pem"
              tls_key_file = "{directory}/key.pem"
              tls_client_ca_file = "{directory}/ca.pem"
              tls_require_and_verify_client_cert = true
            }}
        """)

    def _launch(self, arguments: Any, home: Path) -> None:
        super()._launch([*arguments, f"-config={self._config}"], home)


@dataclass(frozen=True)
class Door:
    address: str
    authority: Authority
    openbao: TlsOpenBao


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory, issuer: ThrowawayIssuer) -> Iterator[Door]:
    """The TLS door of an OpenBao with an auth mount in one namespace and a secret in another one below it."""
    authority = Authority()
    server = TlsOpenBao(tmp_path_factory.mktemp("tls"), authority)
    try:
        server.start()
    except ConfigurationError as error:
        missing("OpenBao", f"{error.message} ({error.hint})")
    with server.root() as root:
        _furnish(root, issuer)
    yield Door(f"https://127.0.0.1:{server.tls_port}", authority, server)
    server.stop()


def _furnish(root: VaultClient, issuer: ThrowawayIssuer) -> None:
    root.write(f"sys/namespaces/{NAMESPACE}")
    team = root.in_namespace(NAMESPACE)
    team.write("sys/namespaces/secrets")
    team.write("sys/policies/acl/read", {"policy": POLICY})
    team.write("sys/auth/jwt", {"type": "jwt"})
    team.write("auth/jwt/config", {"jwks_url": issuer.jwks_url, "bound_issuer": issuer.url})
    role = {"role_type": "jwt", "user_claim": "environmentId", "bound_audiences": [AUDIENCE]}
    team.write("auth/jwt/role/deploy", {**role, "token_policies": ["default", "read"], "token_ttl": 60})
    inside = root.in_namespace(SECRETS)
    inside.write("sys/mounts/kv", {"type": "kv", "options": {"version": "2"}})
    inside.write("kv/data/app", {"data": {"password": "from-the-other-namespace"}})


def credential(door: Door, **changes: Any) -> VaultOidc:
    client = door.authority.client()
    whole = {
        "address": door.address,
        "caBundle": door.authority.certificate,
        "clientCertificate": client.certificate,
        "clientKey": client.key,
        "serverName": NAME,
        "namespace": NAMESPACE,
        "secretNamespace": SECRETS,
    }
    return vault_oidc(**{name: value for name, value in (whole | changes).items() if value is not None})


async def nothing(*_: object) -> None:
    pass


def read(chosen: VaultOidc, issuer: ThrowawayIssuer, *references: SecretReference, ca: Path | None = None) -> list[str]:
    """Log in as the runner does, read, and end it all."""

    async def scenario() -> list[str]:
        pools = VaultPools(ca)
        logins = VaultLogins(pools, Mask(), LoginAccount(nothing), nothing, nothing)
        try:
            session = await logins.log_in(chosen, LoginIdentity(issuer.token(), None, nothing))
            values = await logins.read(session, references, chosen.reading_namespace)
            return [value.reveal() for value in values.values()]
        finally:
            assert await logins.close() == []
            pools.close()

    return asyncio.run(scenario())


APP = SecretReference("kv/app", "password")


def test_a_whole_credential_logs_in_and_reads_in_its_secret_namespace(door, issuer):
    assert read(credential(door), issuer, APP) == ["from-the-other-namespace"]


def test_without_a_secret_namespace_secrets_are_looked_for_beside_the_auth_method(door, issuer):
    with pytest.raises(VaultFailure):
        read(credential(door, secretNamespace=None), issuer, APP)
    named = SecretReference("kv/app", "password", namespace=SECRETS)
    assert read(credential(door, secretNamespace=None), issuer, named) == ["from-the-other-namespace"]


@pytest.mark.parametrize(
    ("without", "said"),
    [
        ({"caBundle": None}, "authority that is not trusted"),
        ({"serverName": None}, "another host name"),
        ({"serverName": "other.test"}, "another host name"),
    ],
)
def test_a_vault_that_is_not_the_expected_one_gets_no_token(door, issuer, without, said):
    with pytest.raises(TlsFailed, match=said):
        read(credential(door, **without), issuer)


def test_a_runner_without_the_certificate_or_with_a_strangers_is_not_let_in(door, issuer):
    stranger = Authority("strangers").client()
    for shown in (
        {"clientCertificate": None, "clientKey": None},
        {"clientCertificate": stranger.certificate, "clientKey": stranger.key},
    ):
        with pytest.raises(VaultFailure):
            read(credential(door, **shown), issuer)


def test_the_credentials_authorities_replace_the_runners(door, issuer, tmp_path):
    runners = tmp_path / "ca.pem"
    runners.write_text(door.authority.certificate)
    assert read(credential(door, caBundle=None), issuer, APP, ca=runners)
    with pytest.raises(TlsFailed, match="authority that is not trusted"):
        read(credential(door, caBundle=Authority("others").certificate), issuer, APP, ca=runners)


@pytest.mark.parametrize("in_memory", [True, False])
def test_the_client_key_is_in_no_file_afterwards(door, tmp_path, monkeypatch, in_memory):
    written = []
    if not in_memory:
        monkeypatch.delattr(os, "memfd_create")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    as_file = vars(transport)["_as_file"]

    @contextlib.contextmanager
    def watched(content: bytes) -> Iterator[str]:
        with as_file(content) as path:
            written.append((path, Path(path).read_bytes() == content, Path(path).stat().st_mode & 0o077))
            yield path

    monkeypatch.setattr(transport, "_as_file", watched)
    chosen = credential(door)
    tls = Tls(None, chosen.ca_bundle, chosen.client_certificate, chosen.client_key, chosen.server_name)
    with VaultClient(door.address, tls=tls) as client:
        assert client.read("sys/health").status == 200
    [(path, is_whole, others_may)] = written
    assert is_whole
    assert path.startswith("/proc/self/fd/" if in_memory else str(tmp_path))
    assert in_memory or others_may == 0
    assert list(tmp_path.iterdir()) == []


def test_a_key_of_another_certificate_is_told_and_not_repeated(door):
    one, two = door.authority.client(), door.authority.client()
    with pytest.raises(TlsFailed, match="cannot be used") as caught:
        VaultClient(door.address, tls=Tls(client_certificate=one.certificate, client_key=Secret(two.key)))
    assert "PRIVATE" not in str(caught.value)
