"""One request of the surface's tests."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.testclient import TestClient

AT = "2026-01-02T03:04:05Z"
BEARERS_DOORS = ("/runner/v1/", "/id-token/v1/", "/introspect")
"""Doors that know no API key: their requests bring a bearer of their own."""


@dataclass(frozen=True)
class Ask:
    """One request. `path`, `query` and `body` name things by `ids`, so another tenant's can be put in their place."""

    route: str
    path: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    about: str = ""
    """Tells requests of the same route apart."""

    @property
    def name(self) -> str:
        return f"{self.route} ({self.about})" if self.about else self.route

    @property
    def by_bearer(self) -> bool:
        return any(door in self.route for door in BEARERS_DOORS)

    def send(self, client: TestClient, headers: Mapping[str, str] | None = None, *, follow: bool = True) -> Any:
        method, template = self.route.split(" ")
        return client.request(
            method,
            template.format(**self.path),
            params=self.query or None,
            json=self.body,
            headers={**self.headers, **(headers or {})},
            follow_redirects=follow,
        )
