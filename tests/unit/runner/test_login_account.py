"""The account of a run's logins, and the tokens that its commands hold."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from runpass.errors import ControlPlaneError
from runpass.ids import new_id
from runpass.protocol.vault_logins import MAX_POLICIES, MAX_POLICY_NAME, GivenToken, LoginEnd
from runpass.runner.credentials.account import LoginAccount
from runpass.runner.credentials.handed import HandedTokens
from runpass.secret import Secret
from runpass.vault.login import VaultLogin

LOGIN = new_id()
GIVEN: dict[str, Any] = {
    "ttl_seconds": 120,
    "renewable": True,
    "policies": ("default", "app"),
    "renewals": 0,
    "left_seconds": 120,
}


def granted(kind: str = "service", accessor: str = "accessor") -> VaultLogin:
    ttl, policies = timedelta(seconds=119.6), ("default", "", "app")
    return VaultLogin(Secret("s.token"), Secret(accessor), policies, ttl, True, kind, "")  # noqa: FBT003


class Server:
    def __init__(self, *failures: Exception) -> None:
        self.told: list[tuple[UUID, GivenToken | None]] = []
        self.failures = list(failures)

    async def tell(self, login_id: UUID, given: GivenToken | None) -> None:
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.pop()
        self.told.append((login_id, given))


def test_what_a_login_gave_is_told_before_anybody_goes_on():
    async def scenario() -> None:
        server = Server()
        account = LoginAccount(server.tell)
        account.gave(LOGIN, granted())
        assert server.told == []
        await account.told()
        assert server.told == [(LOGIN, GivenToken(accessor=Secret("accessor"), **GIVEN))]
        account.ended(LOGIN, LoginEnd.REVOKED)
        (ended,) = await account.close()
        assert (ended.login_id, ended.end) == (LOGIN, LoginEnd.REVOKED)

    asyncio.run(scenario())


def test_a_server_that_cannot_be_told_stops_the_run_and_learns_of_it_with_the_last_word():
    async def scenario() -> None:
        account = LoginAccount(Server(ControlPlaneError("down")).tell)
        account.gave(LOGIN, granted())
        with pytest.raises(ControlPlaneError):
            await account.told()
        account.ended(LOGIN, LoginEnd.FAILED)
        (ended,) = await account.close()
        assert ended.given is not None
        assert ended.given.accessor == Secret("accessor")

    asyncio.run(scenario())


def test_a_batch_token_has_no_accessor_to_tell():
    async def scenario() -> None:
        server = Server()
        account = LoginAccount(server.tell)
        account.gave(LOGIN, granted("batch", ""))
        await account.told()
        assert server.told == [(LOGIN, GivenToken(**GIVEN))]

    asyncio.run(scenario())


def test_a_login_that_gives_no_token_is_told_as_that():
    async def scenario() -> None:
        server = Server()
        account = LoginAccount(server.tell)
        account.gives_none(LOGIN)
        await account.told()
        assert server.told == [(LOGIN, None)]
        (ended,) = await account.close()
        assert ended.end is LoginEnd.NO_TOKEN

    asyncio.run(scenario())


def test_a_server_that_keeps_no_account_is_told_nothing():
    async def scenario() -> None:
        server = Server()
        account = LoginAccount(server.tell)
        account.gave(None, granted())
        account.gives_none(None)
        account.ended(None, LoginEnd.REVOKED)
        await account.told()
        assert server.told == []
        assert await account.close() == ()

    asyncio.run(scenario())


def test_each_renewal_is_told_and_the_last_word_repeats_how_many_there_were():
    async def scenario() -> None:
        server = Server()
        account = LoginAccount(server.tell)
        account.gave(LOGIN, granted())
        for left in (60.4, 300):
            account.renewed(LOGIN, timedelta(seconds=left))
            await account.told()
            await asyncio.sleep(0)
        account.renewed(new_id(), timedelta(seconds=1))
        told = [given for _, given in server.told if given is not None]
        assert [(item.renewals, item.left_seconds, item.ttl_seconds) for item in told] == [
            (0, 120, 120),
            (1, 60, 120),
            (2, 300, 300),
        ]
        account.ended(LOGIN, LoginEnd.REVOKED)
        (ended,) = await account.close()
        assert ended.given is not None
        assert (ended.given.renewals, ended.given.left_seconds, ended.given.policies) == (2, None, None)

    asyncio.run(scenario())


def test_a_renewal_that_the_server_is_not_told_of_stops_nothing():
    async def scenario() -> None:
        server = Server()
        account = LoginAccount(server.tell)
        account.gave(LOGIN, granted())
        await account.told()
        server.failures.append(ControlPlaneError("down"))
        account.renewed(LOGIN, timedelta(seconds=100))
        for _ in range(3):
            await asyncio.sleep(0)
        await account.told()
        assert await account.close() == ()

    asyncio.run(scenario())


def test_policies_are_told_in_bounds_and_with_the_last_word_if_they_were_not():
    async def scenario() -> None:
        account = LoginAccount(Server(ControlPlaneError("down")).tell)
        many = replace(granted(), policies=("p" * 500, *(f"p{number}" for number in range(100))))
        account.gave(LOGIN, many)
        account.ended(LOGIN, LoginEnd.REVOKED)
        (ended,) = await account.close()
        assert ended.given is not None
        assert ended.given.policies is not None
        assert len(ended.given.policies) == MAX_POLICIES
        assert ended.given.policies[0] == "p" * (MAX_POLICY_NAME - 1) + "…"

    asyncio.run(scenario())


def test_commands_that_start_later_and_the_file_have_the_newest_token():
    async def scenario() -> None:
        written: list[bytes] = []
        handed = HandedTokens(written.append)
        variables = {"VAULT_TOKEN": "first", "OTHER": "other", "TEXT": "first of all"}
        await handed.hand(variables)
        await handed.replace(Secret("first"), Secret("second"))
        await handed.replace(Secret("second"), Secret("third"))
        await handed.replace(Secret("other"), Secret("another"))
        assert variables["VAULT_TOKEN"] == "first"
        handed.renew(variables)
        assert variables == {"VAULT_TOKEN": "third", "OTHER": "another", "TEXT": "first of all"}
        assert written == [b"first", b"second", b"third"]

    asyncio.run(scenario())


def test_a_job_without_a_token_gets_no_file():
    async def scenario() -> None:
        written: list[bytes] = []
        handed = HandedTokens(written.append)
        await handed.hand({"TEXT": "text"})
        await handed.replace(Secret("first"), Secret("second"))
        assert written == []

    asyncio.run(scenario())
