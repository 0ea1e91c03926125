"""Beside whom minting is measured: OpenSSL alone, a real OpenBao, node oidc-provider. All on this machine."""

import json
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.load import request
from runpass.local.openbao import DevOpenBao, free_port

NODE = Path(__file__).parent / "npm"
ALGORITHMS = ("RS256", "ES256")


@dataclass(frozen=True)
class Peer:
    """Somebody who listens: where, which processes, and what to ask."""

    port: int
    pids: tuple[int, ...]
    asks: dict[str, bytes]


def openssl_signatures(seconds: int) -> float:
    """Give RSA-2048 signatures per second, one process for each core."""
    words = ["openssl", "speed", "-seconds", str(seconds), "-multi", str(os.cpu_count()), "rsa2048"]
    return _signatures(words)


def openssl_per_cpu_second(seconds: int) -> float:
    """Give RSA-2048 signatures per CPU-second of one process: openssl counts against CPU time."""
    words = ["openssl", "speed", "-seconds", str(seconds), "rsa2048"]
    return _signatures(words)


def _signatures(words: list[str]) -> float:
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    found = re.search(r"^rsa 2048 bits\s+\S+\s+\S+\s+([0-9.]+)", said, re.MULTILINE)
    if found is None:
        raise SystemExit("openssl speed said nothing of rsa2048")
    return float(found[1])


def openssl_version() -> str:
    return subprocess.run(["openssl", "version"], capture_output=True, text=True, check=True).stdout.strip()


@contextmanager
def openbao_issuer() -> Iterator[Peer]:
    """Give OpenBao's own issuer of identity tokens: a key and a role of each algorithm, and a token of an entity."""
    with DevOpenBao() as bao:
        with bao.root() as operator:
            for algorithm in ALGORITHMS:
                key = {"algorithm": algorithm, "allowed_client_ids": "*"}
                operator.write(f"identity/oidc/key/{algorithm}", key)
                operator.write(f"identity/oidc/role/{algorithm}", {"key": algorithm, "ttl": "15m"})
            operator.write("identity/entity", {"name": "bench"})
            entity = operator.read("identity/entity/name/bench").data["id"]
            accessor = operator.read("sys/auth").data["token/"]["accessor"]
            alias = {"name": "bench", "canonical_id": entity, "mount_accessor": accessor}
            operator.write("identity/entity-alias", alias)
            policy = 'path "identity/oidc/token/*" { capabilities = ["read"] }'
            operator.write("sys/policies/acl/bench", {"policy": policy})
            operator.write("auth/token/roles/bench", {"allowed_entity_aliases": "bench"})
            made = operator.write("auth/token/create/bench", {"entity_alias": "bench", "policies": ["bench"]})
            held = {"X-Vault-Token": made.auth["client_token"]}
        asks = {name: request("GET", f"/v1/identity/oidc/token/{name}", held) for name in ALGORITHMS}
        asks["keys"] = request("GET", "/v1/identity/oidc/.well-known/keys", {})
        assert bao.pid is not None  # noqa: S101 -- it runs
        yield Peer(bao.port, (bao.pid,), asks)


@contextmanager
def node_provider() -> Iterator[Peer | None]:
    """Give node oidc-provider; None where node or its packages are missing."""
    if shutil.which("node") is None or not (NODE / "node_modules" / "oidc-provider").is_dir():
        yield None
        return
    port, secret = free_port(), secrets.token_urlsafe(32)
    environment = {"PATH": os.environ["PATH"], "PEER_SECRET": secret, "NODE_ENV": "production"}
    peer = subprocess.Popen(
        ["node", str(NODE / "peer.mjs"), str(port)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        if peer.stdout is None or peer.stdout.readline().strip() != "ready":
            raise SystemExit("node oidc-provider did not start")
        body = f"grant_type=client_credentials&client_id=bench&client_secret={secret}&scope=run".encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        yield Peer(port, (peer.pid,), {"RS256": request("POST", "/token", headers, body)})
    finally:
        peer.terminate()
        peer.wait(10)


def node_versions() -> str:
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    wanted = json.loads((NODE / "package.json").read_text(encoding="utf-8"))["dependencies"]["oidc-provider"]
    return f"node {node}, oidc-provider {wanted}"
