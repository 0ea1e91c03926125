"""A real OpenID Connect provider for tests: node oidc-provider, with people whom a test changes, and misbehaviour."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx2

from node_libraries import PLACE, need_node

CLIENT_ID = "runpass"
CLIENT_SECRET = "a secret: with/every+kind of sign%"


@dataclass(frozen=True)
class RunningProvider:
    """A provider that listens."""

    issuer: str

    def set(self, **what: Any) -> None:
        """Change the `people` (claims by subject) or the `mode` (how it misbehaves; `good`)."""
        with httpx2.Client(trust_env=False, timeout=30) as http:
            http.post(f"{self.issuer}/test", json=what).raise_for_status()

    def answers(self, url: str, login: str) -> str:
        """Sign somebody in there, in a browser that it has not seen; give where it sends the browser back to."""
        with httpx2.Client(trust_env=False, timeout=30) as http:
            found = http.get(url)
            for _ in range(8):
                place = urljoin(str(found.url), found.headers.get("location", ""))
                if not found.is_redirect:
                    found = http.post(str(found.url), data={"login": login})
                elif urlsplit(place).netloc != urlsplit(self.issuer).netloc:
                    return place
                else:
                    found = http.get(place)
        raise AssertionError(f"the provider did not come to an end: {found.status_code} {found.text[:500]}")


@contextmanager
def running_provider(redirect_uri: str) -> Iterator[RunningProvider]:
    """Give a provider whose one client may be answered there."""
    need_node()
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    process = subprocess.Popen(
        ["node", str(PLACE / "provider.mjs"), redirect_uri],
        env={**kept, "PROVIDER_SECRET": CLIENT_SECRET},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        issuer = process.stdout.readline().strip()
        assert issuer, "the provider ended before it listened"
        yield RunningProvider(issuer)
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()
