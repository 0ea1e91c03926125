"""One secret as a run reads it: with a token (log in, read, revoke), and with inline authentication."""

from contextlib import ExitStack
from typing import Any

from rich.console import Console

from bench.by_hand import ByHand
from bench.play import Play, open_play
from runpass.local.stage import MOUNT, ROLE
from runpass.vault.desired import KV_PATH
from runpass.vault.inline import InlineLogin
from runpass.vault.secrets import SecretReference, read_secrets
from runpass.vault.session import VaultSession

SECRET = SecretReference(f"{KV_PATH}/app", "password")


class OneClient(ByHand):
    """Keeps its connection open, as a runner does."""

    def __init__(self, play: Play) -> None:
        super().__init__(play)
        self.client = play.openbao.client()


class WithToken(OneClient):
    name = "log in, read, revoke"

    def once(self) -> str:
        with VaultSession.login(self.client, mount=MOUNT, role=ROLE, jwt=self.jwt) as session:
            return session.read_secrets([SECRET])[SECRET].reveal()


class WithoutToken(OneClient):
    name = "inline authentication"

    def once(self) -> str:
        view = self.client.with_inline_login(InlineLogin(MOUNT, ROLE, self.jwt))
        return read_secrets(view, [SECRET])[SECRET].reveal()


def measure_inline(runs: int) -> dict[str, Any]:
    """Measure both, one after the other, on one OpenBao."""
    with ExitStack() as stack:
        play = open_play(stack)
        rows = [WithToken(play).measure(runs), WithoutToken(play).measure(runs)]
    ratio = round(rows[0].p50 / rows[1].p50, 2)
    console = Console()
    for row in rows:
        console.print(f"{row.name}: p50 {row.p50:.2f} ms, p95 {row.p95:.2f} ms")
    console.print(f"with a token it takes {ratio}x as long")
    return {"inline": {**{row.name: row.as_json() for row in rows}, "withTokenOverInline": ratio}}
