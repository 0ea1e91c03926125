"""Every route of the console with what an admin of ours may ask there: a path, and for a form its fields.

The surface tests try each of them for nobody, for another tenant, for each role, and as another site's form.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from console import OURS, Browser

Ids = Mapping[str, object]


@dataclass(frozen=True)
class Page:
    """A route; `names` says which of the scene's ids stands for which part of the path, `sends` what a form holds.

    In `sends`, `{name}` stands for the id of that name.
    """

    route: str
    names: Mapping[str, str] = field(default_factory=dict)
    sends: Mapping[str, str] = field(default_factory=dict)
    query: str = ""
    fixed: Mapping[str, str] = field(default_factory=dict)
    """Parts of the path that are no ids."""

    def path(self, ids: Ids) -> str:
        path = self.route.partition(" ")[2]
        for part, name in self.names.items():
            path = path.replace(f"{{{part}}}", str(ids[name]))
        for part, value in self.fixed.items():
            path = path.replace(f"{{{part}}}", value)
        return path + self.query

    def fields(self, ids: Ids) -> dict[str, str]:
        texts = {f"{{{name}}}": str(value) for name, value in ids.items()}
        return {name: texts.get(value, value) for name, value in self.sends.items()}

    def ask(self, browser: Browser, ids: Ids) -> Any:
        """Ask as whoever is signed in, with the token of a page of theirs."""
        if self.route.startswith("GET "):
            return browser.get(self.path(ids))
        token = {"form_token": browser.form()["form_token"]}
        return browser.post(self.path(ids), {**self.fields(ids), **token}, OURS)


ORGANIZATION = {"organization_id": "organization"}
BELOW = "/console/organizations/{organization_id}"

SHELL = (
    Page("GET /console"),
    Page("GET /console/"),
    Page("GET /console/assets/{name}", fixed={"name": "console.css"}),
)
ACCESS = (
    Page("GET /console/sign-in"),
    Page("POST /console/sign-in", sends={"api_key_id": "x", "api_key_secret": "y"}),
    Page("POST /console/sign-out"),
    Page("GET /console/sessions"),
    Page("POST /console/sessions/{session_id}/end", {"session_id": "session"}),
)
ONE = "/console/deployments/{deployment_id}"
DEPLOYMENTS = (
    Page(f"GET {BELOW}/outstanding", ORGANIZATION),
    Page("GET /console/environments/{environment_id}/deployments", {"environment_id": "environment"}),
    Page(f"GET {ONE}", {"deployment_id": "running"}),
    Page(f"GET {ONE}/run", {"deployment_id": "running"}),
    Page(f"GET {ONE}/log.txt", {"deployment_id": "ended"}),
    Page(f"GET {ONE}/log/events", {"deployment_id": "ended"}),
    Page(f"POST {ONE}/approve", {"deployment_id": "waiting"}),
    Page(f"POST {ONE}/cancel", {"deployment_id": "queued"}),
    Page(f"POST {ONE}/abort", {"deployment_id": "running"}),
)

PAGES = (*SHELL, *ACCESS, *DEPLOYMENTS)
