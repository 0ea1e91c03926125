"""Keeping the way into a Vault open: when a token is renewed, when the runner logs in again, and when it gives up."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from runpass.errors import ControlPlaneError, Forbidden
from runpass.runner.credentials import renewal
from runpass.runner.credentials.renewal import Renewal
from runpass.secret import Secret
from runpass.vault.client import VaultClient
from runpass.vault.errors import PolicyDenied, TokenInvalid, Unreachable, VaultFailure
from runpass.vault.login import VaultLogin
from runpass.vault.session import VaultSession

CLIENT = VaultClient("https://vault.example.com")
Renewed = int | VaultFailure


class Session(VaultSession):
    """A session whose renewals give what a test says, and then wait for good."""

    def __init__(self, ttl: int, *renewals: Renewed, renewable: bool = True) -> None:
        login = VaultLogin(Secret(f"s.{id(self)}"), Secret("a"), (), timedelta(seconds=ttl), renewable, "service", "")
        super().__init__(CLIENT, login)
        self.left = list(renewals)

    def renew(self) -> timedelta:
        found = self.left.pop(0)
        if isinstance(found, VaultFailure):
            raise found
        return timedelta(seconds=found)


class Scene:
    """Runs a renewal until there is nothing left to do."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.slept: list[float] = []
        self.renewed: list[float] = []
        self.said: list[str] = []
        self.logins = 0
        sleeping = asyncio.sleep

        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)
            await sleeping(0)

        monkeypatch.setattr(renewal.asyncio, "sleep", sleep)

    def keep(self, session: Session, *later: Session | Exception) -> None:
        following = list(later)

        async def again(_: VaultSession) -> VaultSession:
            self.logins += 1
            found = following.pop(0) if following else Forbidden("no more")
            if isinstance(found, Exception):
                raise found
            return found

        async def say(sentence: str) -> None:
            self.said.append(sentence)

        def renewed(_: VaultSession, ttl: timedelta) -> None:
            self.renewed.append(ttl.total_seconds())

        kept: Callable[[VaultSession], Awaitable[None]] = Renewal(again, renewed, say).keep
        asyncio.run(asyncio.wait_for(kept(session), 5))


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(monkeypatch)


def test_a_token_with_a_cap_is_renewed_until_that_gives_no_more_than_half(scene: Scene):
    scene.keep(Session(100, 100, 100, 90, 51, 50))
    assert scene.slept == [50, 50, 50, 45, 25.5]
    assert scene.logins == 1


def test_a_token_that_cannot_be_renewed_is_followed_by_another_at_half_of_its_life(scene: Scene):
    scene.keep(Session(100, renewable=False), Session(60, renewable=False))
    assert scene.slept == [50, 30]
    assert scene.logins == 2


def test_a_token_that_does_not_expire_is_left_alone(scene: Scene):
    scene.keep(Session(0))
    assert (scene.slept, scene.logins) == ([], 0)


@pytest.mark.parametrize("error", [TokenInvalid("gone"), PolicyDenied("not allowed")])
def test_a_token_that_is_gone_or_may_not_renew_itself_is_followed_at_once(scene: Scene, error: VaultFailure):
    scene.keep(Session(100, error))
    assert (scene.slept, scene.logins) == ([50], 1)


def test_a_vault_that_does_not_answer_is_asked_again_and_that_is_said_once(scene: Scene):
    scene.keep(Session(100, Unreachable("down"), Unreachable("down"), 100, 10))
    assert scene.slept == [50, 25, 12.5, 50]
    assert len([sentence for sentence in scene.said if "down" in sentence]) == 1


def test_a_login_that_fails_is_tried_again_with_longer_pauses_until_nothing_can_come_of_it(scene: Scene):
    failures = [ControlPlaneError("busy")] * 9
    scene.keep(Session(10, renewable=False), *failures, Forbidden("taken away"))
    assert scene.slept == [5, 0.5, 1, 2, 4, 8, 16, 32, 60, 60]
    assert scene.logins == 10
    assert len(scene.said) == 1


def test_each_renewal_is_told(scene: Scene):
    scene.keep(Session(100, 100, 300, 200, 10))
    assert scene.renewed == [100, 300, 200, 10]
