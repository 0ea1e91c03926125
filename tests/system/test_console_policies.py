"""Policies, relying parties and the audit trail in a real browser: the preview follows what is typed.

With `WRITE_SCREENSHOT=1` it draws `docs/images/audit.png` anew.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from typer.testing import CliRunner

from browser import WAIT_MILLISECONDS, real_browser, visiting
from factories import Tenant, World
from programs import RunningServer, running_server
from runpass.cli.main import app
from runpass.server.credentials.store import record_role
from runpass.server.opening import open_parts
from runpass.server.settings import load_settings
from runpass.server.tenancy.model import Environment, Project

SCREENSHOT = Path(__file__).parents[2] / "docs" / "images" / "audit.png"


@dataclass(frozen=True)
class Console:
    """A server with an organization whose one Vault trusts the shared issuer and the organization's own subject."""

    server: RunningServer
    tenant: Tenant
    project: Project
    environment: Environment
    browser: Browser

    def path(self, name: str) -> str:
        return f"/console/organizations/{self.tenant.id}/{name}"


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with running_server(tmp_path_factory.mktemp("policies"), log_level="error") as server, real_browser() as browser:
        parts = open_parts(load_settings(environment=server.environment).settings)
        world: Any = World(parts.database, parts.cipher, parts.clock)  # type: ignore[arg-type]
        tenant: Tenant = world.tenant("Acme")
        project, environment = tenant.somewhere_to_deploy()
        credential = tenant.credential(address="https://vault.example.com")
        tenant.assign(credential, project)
        bound = {"bound_subject": tenant.organization.oidc_sub, "bound_audiences": [parts.settings.audience]}
        role = json.dumps({**bound, "role_type": "jwt", "user_claim": "sub"})
        config = json.dumps({"bound_issuer": parts.settings.issuer_url})
        with parts.database.write() as tx:
            record_role(tx, credential.id, {"role_name": "deploy", "mount": "jwt", "role": role, "config": config})
        tenant.queue(environment)
        yield Console(server, tenant, project, environment, browser)
        parts.close()


def sign_in(page: Page, console: Console) -> None:
    page.goto("/console/sign-in")
    page.get_by_label("API key id").fill(console.tenant.api_key.api_key_id)
    page.get_by_label("Its secret").fill(console.tenant.api_secret.reveal())
    page.get_by_role("button", name="Sign in").press("Enter")
    page.wait_for_load_state()


def test_the_preview_follows_what_is_typed_and_changes_nothing(console: Console):
    with visiting(console.browser, console.server.url) as (page, _):
        sign_in(page, console)
        page.goto(console.path("policies"))
        preview = page.locator("#preview")
        expect(preview).to_contain_text("now and then")
        page.get_by_label("sub (optional)", exact=True).fill("organizationId")
        page.get_by_label("sub (optional)", exact=True).press_sequentially("\nprojectId")
        expect(preview).to_contain_text(f":projectId:{console.project.id}", timeout=WAIT_MILLISECONDS)
        expect(preview).to_contain_text("1 recorded role would refuse these runs.")
        page.reload()
        expect(preview).to_contain_text("now and then")


def test_a_secret_is_shown_once(console: Console):
    with visiting(console.browser, console.server.url) as (page, _):
        sign_in(page, console)
        page.goto(console.path("relying-parties"))
        page.get_by_label("Name", exact=True).fill("sts")
        page.get_by_label("Audiences").fill("https://sts.example.com")
        page.get_by_role("button", name="Make it").press("Enter")
        page.wait_for_load_state()
        secret = page.locator("#made-secret").inner_text()
        page.goto(console.path("relying-parties"))
        assert "https://sts.example.com" in page.inner_text("main")
        assert secret not in page.content()


def test_the_trail_is_filtered_and_leads_to_a_deployment(console: Console):
    with visiting(console.browser, console.server.url) as (page, _):
        sign_in(page, console)
        page.goto(console.path("audit"))
        if os.environ.get("WRITE_SCREENSHOT") == "1":
            page.screenshot(path=SCREENSHOT)
        page.get_by_label("Action").fill("deployment.queued")
        page.get_by_role("button", name="Filter").press("Enter")
        page.wait_for_load_state()
        (row,) = page.get_by_role("row").all()[1:]
        assert "deployment.queued" in row.inner_text()
        row.get_by_role("link").nth(1).click()
        page.wait_for_load_state()
        assert "/console/deployments/" in page.url


def test_the_command_line_names_vaults_that_trust_another_issuer(console: Console):
    key, secret = console.tenant.api_key.api_key_id, console.tenant.api_secret.reveal()
    environment = console.server.client_environment(api_key_id=key, api_key_secret=secret)
    said = {}
    for choice in ("prepared", "own", "shared"):
        done = CliRunner().invoke(app, ["organization", "policy", "--identity-issuer", choice], env=environment)
        assert done.exit_code == 0, done.output
        said[choice] = done.stderr
    assert (said["prepared"], said["shared"]) == ("", "")
    assert "warning: https://vault.example.com auth/jwt (credential vault) still trusts" in said["own"]
