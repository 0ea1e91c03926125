"""`runpass keys compromise` on the day: the trap, then the cure, then the end of what was obtained with the key."""

import json
import shlex
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
import jwt
import pytest
from typer.testing import CliRunner

from programs import Founded, RunningServer, clean_environment, running_runner, running_server
from runpass.cli import exits
from runpass.cli.main import app
from runpass.local.openbao import DevOpenBao, find_binary, free_port
from runpass.secret import Secret
from runpass.server.audit import AuditEvent, record
from runpass.server.db.encryption import Cipher
from runpass.server.db.engine import Database, open_database
from runpass.server.issuer import store
from runpass.server.issuer.keys import SHARED, KeyState, SigningKey
from runpass.server.issuer.publishable import public_pem
from runpass.server.trail.minted import MINTED
from runpass.vault.client import VaultClient
from runpass.vault.errors import TokenInvalid
from runpass.vault.login import jwt_login
from runpass.vault.refusals import BadSignature

ROLE = "deploy"
ANY = None
"""Where Vaults of other tests may be known by now."""
QUICK = {"key_publish_ahead_seconds": 3, "jwks_max_age_seconds": 1, "key_ring_stale_seconds": 2}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Whose keys every test of this file may kill."""
    directory = tmp_path_factory.mktemp("compromise")
    with running_server(directory, signing_algorithm="ES256", long_poll_seconds=1, **QUICK) as running:
        yield running


@contextmanager
def opened(server: RunningServer) -> Iterator[Database]:
    database = open_database(f"sqlite:///{server.data_dir / 'runpass.db'}")
    yield database
    database.close()


def stolen(server: RunningServer) -> SigningKey:
    """Give the key that signs, as somebody has it who copied database and master key."""
    cipher = Cipher((server.data_dir / "master.key").read_bytes())
    with opened(server) as database, database.read() as tx:
        found = [store.open_key(cipher, key, sealed) for key, sealed in store.list_sealed(tx, SHARED)]
    return next(key for key in found if key.state is KeyState.ACTIVE)


def forged(server: RunningServer, key: SigningKey) -> Secret:
    now = int(time.time())
    claims = {
        "iss": f"{server.url}/",
        "sub": "anybody",
        "aud": server.url,
        "iat": now,
        "nbf": now,
        "exp": now + 900,
        "environmentId": str(uuid4()),
    }
    return Secret(jwt.encode(claims, key.private_key, algorithm="ES256", headers={"kid": key.kid}))


def mounted(vault_root: VaultClient, server: RunningServer, **config: Any) -> str:
    """Mount the auth method and write a role that takes whatever the issuer signs; give the mount."""
    mount = f"jwt-{uuid4().hex[:8]}"
    vault_root.write(f"sys/auth/{mount}", {"type": "jwt"})
    vault_root.write(f"auth/{mount}/config", {"bound_issuer": f"{server.url}/", **config})
    role = {"role_type": "jwt", "user_claim": "environmentId", "bound_audiences": [server.url], "token_ttl": 600}
    vault_root.write(f"auth/{mount}/role/{ROLE}", role)
    return mount


def credential(server: RunningServer, admin: Founded, address: str, mount: str) -> str:
    value = {"address": address, "version": "2.7.2", "roleName": ROLE, "jwtAuthBackendPath": mount, "timeoutSeconds": 3}
    body = {"name": mount, "type": "VAULT_OIDC", "value": value, "organizationId": admin.organization_id}
    with server.http(admin) as http:
        project = http.post("/api/projects", json={"name": mount, "organizationId": admin.organization_id}).json()["id"]
        made = http.post("/api/credentials", json=body).raise_for_status().json()["id"]
        http.put(f"/api/credentials/deployment/{made}/project/{project}").raise_for_status()
    return made


def command(server: RunningServer, *arguments: str, code: int | None = 0, **settings: str) -> str:
    """Run a command with the settings of the server, in this process."""
    done = CliRunner().invoke(app, list(arguments), env=server.environment | settings)
    assert code in {None, done.exit_code}, done.output
    return done.stdout


def compromise(server: RunningServer, kid: str, *options: str, code: int) -> dict[str, Any]:
    return json.loads(command(server, "keys", "compromise", kid, "--json", *options, code=code))


def published(server: RunningServer) -> list[str]:
    return [key["kid"] for key in httpx2.get(f"{server.url}/.well-known/jwks.json", trust_env=False).json()["keys"]]


def verdicts(told: dict[str, Any]) -> dict[str, str]:
    return {item["mount"]: item["verdict"] for item in told["vaults"]}


def test_the_trap_then_the_cure_then_the_end_of_what_was_obtained_with_the_key(
    server: RunningServer, openbao: DevOpenBao, vault_root: VaultClient, vault: VaultClient, tmp_path: Path
):
    admin = server.found("acme")
    bad = stolen(server)
    fetching = mounted(vault_root, server, jwks_url=f"{server.url}/.well-known/jwks.json")
    pushed = mounted(vault_root, server, jwt_validation_pubkeys=[public_pem(bad.public_jwk)])
    for mount in (fetching, pushed):
        credential(server, admin, openbao.address, mount)
    dead = credential(server, admin, f"http://127.0.0.1:{free_port()}", "dead")
    obtained = jwt_login(vault, mount=fetching, role=ROLE, jwt=forged(server, bad)).client_token

    # The trap: no server signs with the key, nobody publishes it, it does not even exist here any more.
    told = compromise(server, bad.kid, "--wait", "1", code=exits.NOT_CURED)
    assert set(verdicts(told).values()) == {"no-runner"}
    assert [item["step"] for item in told["steps"] if not item["ok"]] == ["prove"]
    assert published(server) == [told["replacementKeyId"]]
    assert bad.kid not in published(server)
    jwt_login(vault, mount=fetching, role=ROLE, jwt=forged(server, bad))

    with running_runner(server, admin, tmp_path / "runner"):
        told = compromise(server, bad.kid, code=exits.NOT_CURED)
        assert verdicts(told) == {fetching: "cured", pushed: "pushed-keys", "dead": "unreachable"}
        with pytest.raises(BadSignature):
            jwt_login(vault, mount=fetching, role=ROLE, jwt=forged(server, bad))
        jwt_login(vault, mount=pushed, role=ROLE, jwt=forged(server, bad))

        fresh = stolen(server)
        assert fresh.kid == told["replacementKeyId"]
        config = {"bound_issuer": f"{server.url}/", "jwt_validation_pubkeys": [public_pem(fresh.public_jwk)]}
        vault_root.write(f"auth/{pushed}/config", config)
        with server.http(admin) as http:
            http.delete(f"/api/credentials/{dead}").raise_for_status()
        told = compromise(server, bad.kid, code=0)
    assert verdicts(told) == {fetching: "cured", pushed: "cured"}
    for mount in (fetching, pushed):
        jwt_login(vault, mount=mount, role=ROLE, jwt=forged(server, fresh))
        with pytest.raises(BadSignature):
            jwt_login(vault, mount=mount, role=ROLE, jwt=forged(server, bad))

    thief = vault.with_token(obtained)
    assert thief.read("auth/token/lookup-self").data["path"] == f"auth/{fetching}/login"
    (printed,) = (item for item in told["revoke"] if fetching in item)
    revoke(printed, openbao)
    with pytest.raises(TokenInvalid):
        thief.read("auth/token/lookup-self")


def revoke(printed: str, openbao: DevOpenBao) -> None:
    """Run the printed command as its operator would, with a token of their own in the environment."""
    program, *arguments = shlex.split(printed)
    assert program == "bao"
    environment = clean_environment() | {"BAO_TOKEN": openbao.root_token.reveal()}
    done = subprocess.run(
        [str(find_binary()), *arguments], env=environment, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_step_is_told_as_it_ends_and_recorded(server: RunningServer):
    bad, organization = stolen(server).kid, UUID(server.found("globex").organization_id)
    with opened(server) as database, database.write() as tx:  # as if a run had asked for a token
        detail = {"kid": bad, "jti": "made-here", "audience": "aud", "expiresAt": "then"}
        now = datetime.now(UTC)
        record(tx, AuditEvent(now, "runner:r", MINTED, "deployment", "run", organization, detail))
    told = command(server, "keys", "compromise", bad, "--wait", "2", code=ANY)
    marks = [line.split()[:2] for line in told.splitlines()[:6]]
    assert marks == [["✓", name] for name in ("stop", "acknowledge", "probe", "destroy", "replace", "withdraw")]
    assert "Acknowledged by 1 server process" in told
    assert "Signed with the key here, newest first: 1" in told
    assert "made-here" in told
    later = (now + timedelta(seconds=1)).isoformat()
    assert compromise(server, bad, "--since", later, "--wait", "2", code=ANY)["minted"] == []
    listed = json.loads(command(server, "keys", "list", "--all", "--json"))
    assert {key["keyId"]: key["state"] for key in listed}[bad] == "compromised"
    events = [json.loads(line) for line in command(server, "audit", "export").splitlines()]
    did = [(item["action"], item["actor"].partition(":")[0]) for item in events if item["subjectId"] == bad]
    did = [item for item in did if item[0].startswith("signing_key.")]
    assert did[1:7] == [
        ("signing_key.compromised", "operator"),
        ("signing_key.stop_acknowledged", "operator"),
        ("signing_key.probes_signed", "operator"),
        ("signing_key.destroyed", "operator"),
        ("signing_key.withdrawal_confirmed", "operator"),
        ("signing_key.vaults_checked", "operator"),
    ]
    command(server, "audit", "verify")


def test_a_key_set_that_cannot_be_looked_at_is_no_confirmation(server: RunningServer, tmp_path: Path):
    bad = stolen(server).kid
    elsewhere = f"http://127.0.0.1:{free_port()}"
    told = command(server, "keys", "compromise", bad, "--wait", "0", code=exits.NOT_CURED, RUNPASS_PUBLIC_URL=elsewhere)
    assert "✗ withdraw" in told
    assert "cannot be looked at from here" in told
    command(server, "keys", "compromise", "unknown", code=exits.NOT_FOUND)
    no_key = tmp_path / "master.key"
    command(server, "keys", "compromise", bad, code=exits.USAGE, RUNPASS_MASTER_KEY_FILE=str(no_key))
    assert not no_key.exists()
    steps = compromise(server, bad, "--wait", "2", code=ANY)["steps"]
    assert {item["step"]: item["ok"] for item in steps}["withdraw"]
