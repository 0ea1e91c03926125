"""The end of a run's logins, and the connections that are kept after it."""

import asyncio
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from authority import Authority
from factories import vault_oidc as credential_of
from runpass.errors import JobError
from runpass.ids import new_id
from runpass.protocol.credentials import VaultOidc
from runpass.protocol.vault_logins import LoginEnd
from runpass.runner.credentials import vault_oidc
from runpass.runner.credentials.account import LoginAccount
from runpass.runner.credentials.vault_oidc import NOT_ENDED, VaultLogins, VaultPools
from runpass.runner.identity import LoginIdentity
from runpass.runner.masking import Mask
from runpass.secret import Secret
from runpass.vault.client import VaultClient
from runpass.vault.errors import Unreachable
from runpass.vault.login import VaultLogin
from runpass.vault.session import Revocation, VaultSession

GRANTED = VaultLogin(Secret("s.token"), Secret(""), (), timedelta(seconds=60), False, "service", "")  # noqa: FBT003


async def nothing(*_):
    pass


IDENTITY = LoginIdentity(Secret("jwt"), None, nothing)


def logins_of(pools: VaultPools) -> VaultLogins:
    return VaultLogins(pools, Mask(), LoginAccount(nothing), nothing, nothing)


def credential(number: int = 0) -> VaultOidc:
    return VaultOidc(
        address=f"http://127.0.0.1:{1000 + number}", version="1", role_name="r", jwt_auth_backend_path="jwt"
    )


def test_a_login_that_does_not_end_is_told_and_revoked_when_it_does(monkeypatch):
    async def scenario():
        may_end, revoked = threading.Event(), threading.Event()

        def slow_login(client, **_):
            may_end.wait(5)
            return VaultSession(client, GRANTED)

        def revoke(_self):
            revoked.set()
            return Revocation.REVOKED

        monkeypatch.setattr(VaultSession, "login", slow_login)
        monkeypatch.setattr(VaultSession, "revoke", revoke)
        monkeypatch.setattr(vault_oidc, "LOGIN_SECONDS", 0.05)
        pools = VaultPools()
        logins = logins_of(pools)
        caller = asyncio.create_task(logins.log_in(credential(), IDENTITY))
        await asyncio.sleep(0.02)
        caller.cancel()
        assert await logins.close() == [NOT_ENDED]
        assert not revoked.is_set()
        may_end.set()
        assert await asyncio.to_thread(revoked.wait, 5)
        pools.close()

    asyncio.run(scenario())


def test_the_accessor_of_a_login_that_outlived_its_run_is_in_the_account_if_it_cannot_be_revoked(monkeypatch):
    async def scenario():
        may_end, login_id = threading.Event(), new_id()

        def slow_login(client, **_):
            may_end.wait(5)
            return VaultSession(client, replace(GRANTED, accessor=Secret("accessor")))

        def revoke(_self):
            raise Unreachable("the Vault is gone")

        monkeypatch.setattr(VaultSession, "login", slow_login)
        monkeypatch.setattr(VaultSession, "revoke", revoke)
        monkeypatch.setattr(vault_oidc, "REVOKE_PAUSES", ())
        pools, account = VaultPools(), LoginAccount(nothing)
        logins = VaultLogins(pools, Mask(), account, nothing, nothing)
        caller = asyncio.create_task(logins.log_in(credential(), replace(IDENTITY, login_id=login_id)))
        await asyncio.sleep(0.02)
        caller.cancel()
        may_end.set()
        await logins.close()
        [ended] = await account.close()
        assert (ended.login_id, ended.end) == (login_id, LoginEnd.FAILED)
        assert ended.given is not None
        assert ended.given.accessor == Secret("accessor")
        pools.close()

    asyncio.run(scenario())


def test_logins_that_ended_are_revoked_and_failed_ones_are_nothing_to_end(monkeypatch):
    async def scenario():
        monkeypatch.setattr(VaultSession, "login", lambda client, **_: VaultSession(client, GRANTED))
        monkeypatch.setattr(VaultSession, "revoke", lambda _: Revocation.NOT_ALLOWED)
        pools = VaultPools()
        logins = logins_of(pools)
        await logins.log_in(credential(), IDENTITY)
        [sentence] = await logins.close()
        assert "60 seconds" in sentence
        assert await logins.close() == []
        pools.close()

    asyncio.run(scenario())


def test_pools_keep_a_bounded_number_of_idle_vaults_and_every_used_one(monkeypatch):
    monkeypatch.setattr(vault_oidc, "MOST_IDLE", 2)
    pools = VaultPools()
    used = [pools.take(credential(number)) for number in range(5)]
    again = pools.take(credential(0))
    for client in used:
        pools.give_back(client)
    kept = vars(pools)["_clients"]
    assert sorted(address for address, *_ in kept) == [f"http://127.0.0.1:{1000 + number}" for number in (0, 3, 4)]
    pools.give_back(again)
    assert len(kept) == 2
    pools.close()


def test_the_vault_of_a_namespace_shares_the_connections():
    pools = VaultPools()
    first, second = pools.take(credential()), pools.take(credential().model_copy(update={"namespace": "a"}))
    assert second.namespace == "a"
    assert len(vars(pools)["_clients"]) == 1
    for client in (first, second):
        pools.give_back(client)
    pools.close()


def test_whoever_trusts_or_shows_something_else_gets_connections_of_its_own():
    authority = Authority()
    client, other = authority.client(), authority.client()
    shown = {"clientCertificate": client.certificate, "clientKey": client.key}
    different = [
        {},
        {"caBundle": authority.certificate},
        {"serverName": "other.test"},
        shown,
        {"clientCertificate": other.certificate, "clientKey": other.key},
    ]
    pools = VaultPools()
    taken = [pools.take(credential_of(**more)) for more in (*different, shown)]
    assert len({id(vars(item)["_pool"]) for item in taken}) == len(different)
    for item in taken:
        pools.give_back(item)
    assert not vars(pools)["_users"]
    pools.close()


SESSION = VaultSession(VaultClient("https://vault.example.com"), GRANTED)


def test_a_job_gets_what_its_programs_need_to_reach_the_vault():
    authority = Authority()
    client = authority.client()
    whole = credential_of(
        namespace="team",
        secretNamespace="team/secrets",
        caBundle=authority.certificate,
        clientCertificate=client.certificate,
        clientKey=client.key,
        serverName="vault.internal",
        skipChildToken=True,
    )
    written = vault_oidc.files(whole, Path("/nonexistent"))
    assert written == {
        "ca.pem": authority.certificate.encode(),
        "client.pem": client.certificate.encode(),
        "client-key.pem": client.key.encode(),
    }
    assert vault_oidc.variables(whole, SESSION, {name: Path("/run") / name for name in written}) == {
        "VAULT_ADDR": "https://vault.example.com:8200",
        "VAULT_TOKEN": "s.token",
        "VAULT_NAMESPACE": "team/secrets",
        "VAULT_CACERT": "/run/ca.pem",
        "VAULT_CLIENT_CERT": "/run/client.pem",
        "VAULT_CLIENT_KEY": "/run/client-key.pem",
        "VAULT_TLS_SERVER_NAME": "vault.internal",
        "TERRAFORM_VAULT_SKIP_CHILD_TOKEN": "true",
    }


def test_a_job_whose_token_is_not_exported_gets_nothing(tmp_path):
    bundle = tmp_path / "ca.pem"
    bundle.write_text("CA")
    closed = credential_of(exportToken=False, skipChildToken=True)
    assert vault_oidc.files(closed, bundle) == {}
    assert vault_oidc.variables(closed, SESSION, {}) == {}
    assert vault_oidc.files(credential_of(), bundle) == {"ca.pem": b"CA"}


def test_a_bundle_of_the_runner_that_is_gone_ends_the_run(tmp_path):
    with pytest.raises(JobError, match="could not be read"):
        vault_oidc.files(credential_of(), tmp_path / "absent")


def test_a_login_that_fails_uses_its_vault_no_more(monkeypatch):
    def refused(client, **_):
        raise Unreachable(f"{client.address} refused")

    monkeypatch.setattr(VaultSession, "login", refused)
    pools = VaultPools()
    logins = logins_of(pools)
    with pytest.raises(Unreachable, match="refused"):
        asyncio.run(logins.log_in(credential(), IDENTITY))
    assert not vars(pools)["_users"]
    pools.close()
