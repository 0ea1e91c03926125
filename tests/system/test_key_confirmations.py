"""A rotation that Vaults confirm, on real programs: a server, a runner, an OpenBao, and one that is not there."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from cli_scene import Shell
from programs import RunningServer, running_runner, running_server
from runpass.cli import exits
from runpass.local.openbao import DevOpenBao

TIMES = {"key_publish_ahead_seconds": 4, "jwks_max_age_seconds": 1, "key_ring_stale_seconds": 2}
NOT_THERE = "http://127.0.0.1:9"
NO_ANSWER = "the runner got no answer from it"


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Ask a few times in a second: each answer is a command that opens the server's database."""
    deadline = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.3)


def published(key: dict[str, Any]) -> float:
    return datetime.fromisoformat(key["publishedAt"]).timestamp()


@dataclass
class Rotating:
    """A server whose keys rotate quickly, and its operator."""

    server: RunningServer
    shell: Shell
    vault: tuple[str, ...]

    def keys(self, *arguments: str) -> Any:
        return self.shell.json("keys", *arguments, "--data-dir", str(self.server.data_dir))

    def credential(self, name: str, address: str, mount: str) -> str:
        value = ("--address", address, "--role", name, "--path", mount)
        return self.shell.made("credential", "create", "--name", name, *value, "--assign", "web")

    def apply(self, name: str, mount: str, *more: str, command: str = "apply", code: int = 0) -> str:
        places = ("--credential", name, "--role", name, "--mount", mount, "--kv-path", f"kv-{mount}")
        return self.shell.run("vault", command, *places, *self.vault, *more, code=code).stdout

    def rotate(self) -> str:
        """Ask for a new key and give its id once it is there."""
        before = {key["keyId"] for key in self.keys("list", "--all")}
        self.shell.run("keys", "rotate", "--data-dir", str(self.server.data_dir))
        wait_until(lambda: len(self.keys("list", "--all")) > len(before), "the next key is made")
        return next(key["keyId"] for key in self.keys("list") if key["keyId"] not in before)

    def key(self, kid: str) -> dict[str, Any]:
        return next(key for key in self.keys("list", "--all") if key["keyId"] == kid)

    def standings(self, kid: str) -> dict[str, dict[str, Any]]:
        return {item["vault"].rpartition("/")[2]: item for item in self.keys("confirmations", kid)["vaults"]}

    def events(self, kid: str) -> dict[str, dict[str, str]]:
        exported = self.shell.run("audit", "export", "--data-dir", str(self.server.data_dir)).stdout
        events = [json.loads(line) for line in exported.splitlines()]
        return {item["action"]: item["detail"] for item in events if item["subjectId"] == kid}


@pytest.fixture
def rotating(tmp_path: Path, openbao: DevOpenBao) -> Iterator[Rotating]:
    token = tmp_path / "operator-token"
    token.write_text(openbao.root_token.reveal() + "\n")
    vault = ("--address", openbao.address, "--token-file", str(token))
    settings: dict[str, Any] = {**TIMES, "signing_algorithm": "ES256", "key_confirm_limit_seconds": 300}
    with running_server(tmp_path / "server", **settings) as server:
        shell = Shell(server, server.found("acme"))
        shell.made("project", "create", "--name", "web")
        yield Rotating(server, shell, vault)


def test_a_rotation_waits_until_a_vault_was_seen_to_have_the_key_and_for_one_that_is_gone_up_to_the_limit(
    rotating: Rotating, openbao: DevOpenBao, unique, tmp_path: Path
):
    own, shared = unique("own"), unique("shared")
    for name in (own, shared):
        rotating.credential(name, openbao.address, name)
    shared_url = f"{rotating.server.url}/.well-known/jwks.json"
    rotating.apply(shared, shared)
    rotating.apply(own, own, "--own-jwks-url")
    assert rotating.apply(own, own, command="plan") == "nothing to change\n"  # it stays with the URL that it has
    given = rotating.shell.json("credential", "jwks-url", own)
    with openbao.root() as root:
        urls = [root.read(f"auth/{mount}/config").data["jwks_url"] for mount in (own, shared)]
    assert urls == [given["jwksUrl"], shared_url]
    rotating.apply(own, shared, "--own-jwks-url", command="plan", code=exits.USAGE)  # the credential names another one

    gone = unique("gone")
    rotating.credential(gone, NOT_THERE, gone)
    rotating.shell.run("credential", "jwks-url", gone, "--give")
    with running_runner(rotating.server, rotating.shell.admin, tmp_path / "runner"):
        kid = rotating.rotate()
        wait_until(lambda: rotating.standings(kid)[own]["standing"] == "seen", "the Vault was seen to have the key")
        wait_until(lambda: rotating.standings(kid)[gone]["why"] == NO_ANSWER, "the Vault that is gone was looked for")
        wait_until(lambda: time.time() > published(rotating.key(kid)) + 6, "the key is published for long enough")
        found, key = rotating.standings(kid), rotating.key(kid)
        assert [found[name]["standing"] for name in (own, shared, gone)] == ["seen", "unknown", "not-confirmed"]
        assert (key["state"], key["vaults"]) == ("upcoming", "waiting")
        shown = {item["keyId"]: item for item in rotating.shell.json("credential", "jwks-url", own)["keys"]}
        assert (shown[kid]["standing"], shown[kid]["state"]) == ("seen", "upcoming")
        rotating.server.environment["RUNPASS_KEY_CONFIRM_LIMIT_SECONDS"] = "5"
        rotating.server.restart()
        wait_until(lambda: rotating.key(kid)["state"] == "active", "the key signs without the one that is gone")
    key, found = rotating.key(kid), rotating.standings(kid)
    assert (key["vaults"], key["confirmedAt"]) == ("not confirmed", None)
    assert key["publishedAt"] <= found[own]["seenAt"] <= key["activatedAt"]
    assert found[shared]["seenAt"] is None
    said = rotating.events(kid)["signing_key.activated"]["notConfirmed"]
    assert f"{NOT_THERE} auth/{gone}" in said
    assert openbao.address not in said
    assert "signing_key.not_confirmed" in rotating.server.log
