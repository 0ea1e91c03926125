"""The account of a run's logins, and the tokens that its commands hold."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from runpass.errors import ControlPlaneError
from runpass.ids import new_id
from runpass.protocol.vault_logins import GivenToken, LoginEnd
from runpass.runner.credentials.account import LoginAccount
from runpass.runner.credentials.handed import HandedTokens
from runpass.secret import Secret
from runpass.vault.login import VaultLogin

LOGIN = new_id()


def granted(kind: str = "service", accessor: str = "accessor") -> VaultLogin:
    return VaultLogin(Secret("s.token"), Secret(accessor), (), timedelta(seconds=120), True, kind, "")  # noqa: FBT003


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
        account.gave(LOGIN, granted(), 119.6)
        assert server.told == []
        await account.told()
        assert server.told == [(LOGIN, GivenToken(accessor=Secret("accessor"), ttl_seconds=120, renewable=True))]
        account.ended(LOGIN, LoginEnd.REVOKED)
        (ended,) = await account.close()
        assert (ended.login_id, ended.end) == (LOGIN, LoginEnd.REVOKED)

    asyncio.run(scenario())


def test_a_server_that_cannot_be_told_stops_the_run_and_learns_of_it_with_the_last_word():
    async def scenario() -> None:
        account = LoginAccount(Server(ControlPlaneError("down")).tell)
        account.gave(LOGIN, granted(), 120)
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
        account.gave(LOGIN, granted("batch", ""), 120)
        await account.told()
        assert server.told == [(LOGIN, GivenToken(ttl_seconds=120, renewable=True))]

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
        account.gave(None, granted(), 120)
        account.gives_none(None)
        account.ended(None, LoginEnd.REVOKED)
        await account.told()
        assert server.told == []
        assert await account.close() == ()

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
