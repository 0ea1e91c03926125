"""Libraries of node that verify our tokens, or sign people in, pinned with a lock file below `tests/npm`."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from services import missing

PLACE = Path(__file__).parent / "npm"
LIBRARIES = ("jose", "openid-client", "oidc-provider")


class NodeRefusal(Exception):
    """What a library said about a token that it refused."""


def need_node() -> None:
    """Skip the test without node and its packages; in CI that is a failure."""
    if shutil.which("node") is None:
        missing("node", "it verifies tokens and signs people in; on Debian and Ubuntu: apt-get install nodejs npm")
    if not all((PLACE / "node_modules" / name).is_dir() for name in LIBRARIES):
        missing("jose, openid-client and oidc-provider", "make test installs them with npm: npm ci --prefix tests/npm")


def verify(library: str, *, issuer: str, audience: str, token: str) -> dict[str, Any]:
    """Give the claims as a library of node found them. Raises `NodeRefusal`."""
    asked = json.dumps({"library": library, "issuer": issuer, "audience": audience, "token": token})
    done = subprocess.run(
        ["node", str(PLACE / "verify.mjs")], input=asked, capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode:
        raise NodeRefusal(done.stderr)
    claims: dict[str, Any] = json.loads(done.stdout)
    return claims
