"""The end of a run's logins, and the connections that are kept after it."""

import asyncio
import threading
from datetime import timedelta

import pytest

from runpass.protocol.credentials import VaultOidc
from runpass.runner.credentials import vault_oidc
from runpass.runner.credentials.vault_oidc import NOT_ENDED, VaultLogins, VaultPools
from runpass.runner.masking import Mask
from runpass.secret import Secret
from runpass.vault.errors import Unreachable
from runpass.vault.login import VaultLogin
from runpass.vault.session import Revocation, VaultSession

GRANTED = VaultLogin(Secret("s.token"), Secret(""), (), timedelta(seconds=60), False, "service", "")  # noqa: FBT003


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
        logins = VaultLogins(pools, Mask())
        caller = asyncio.create_task(logins.log_in(credential(), Secret("jwt")))
        await asyncio.sleep(0.02)
        caller.cancel()
        assert await logins.close() == [NOT_ENDED]
        assert not revoked.is_set()
        may_end.set()
        assert await asyncio.to_thread(revoked.wait, 5)
        pools.close()

    asyncio.run(scenario())


def test_logins_that_ended_are_revoked_and_failed_ones_are_nothing_to_end(monkeypatch):
    async def scenario():
        monkeypatch.setattr(VaultSession, "login", lambda client, **_: VaultSession(client, GRANTED))
        monkeypatch.setattr(VaultSession, "revoke", lambda _: Revocation.NOT_ALLOWED)
        pools = VaultPools()
        logins = VaultLogins(pools, Mask())
        await logins.log_in(credential(), Secret("jwt"))
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
    assert sorted(kept) == [f"http://127.0.0.1:{1000 + number}" for number in (0, 3, 4)]
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


def test_a_login_that_fails_uses_its_vault_no_more(monkeypatch):
    def refused(client, **_):
        raise Unreachable(f"{client.address} refused")

    monkeypatch.setattr(VaultSession, "login", refused)
    pools = VaultPools()
    logins = VaultLogins(pools, Mask())
    with pytest.raises(Unreachable, match="refused"):
        asyncio.run(logins.log_in(credential(), Secret("jwt")))
    assert not vars(pools)["_users"]
    pools.close()
