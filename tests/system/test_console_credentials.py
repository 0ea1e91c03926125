"""Credentials in a real browser: the form with its errors, and the set-up beside it that follows what is typed.

With `WRITE_SCREENSHOT=1` it draws `docs/images/credential-form.png` anew.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from browser import real_browser, visiting
from factories import Tenant, World
from programs import RunningServer, running_server
from runpass.server.opening import open_parts
from runpass.server.settings import load_settings

SCREENSHOT = Path(__file__).parents[2] / "docs" / "images" / "credential-form.png"


@dataclass(frozen=True)
class Console:
    """A server with one organization that has a project and no credential."""

    server: RunningServer
    tenant: Tenant
    browser: Browser

    @property
    def page(self) -> str:
        return f"/console/organizations/{self.tenant.id}/credentials"


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with running_server(tmp_path_factory.mktemp("console"), log_level="error") as server, real_browser() as browser:
        parts = open_parts(load_settings(environment=server.environment).settings)
        world: Any = World(parts.database, parts.cipher, parts.clock)  # type: ignore[arg-type]
        tenant = world.tenant("Acme")
        tenant.project("web")
        yield Console(server, tenant, browser)
        parts.close()


def sign_in(page: Page, console: Console, path: str) -> None:
    page.goto(path)
    page.get_by_label("API key id").fill(console.tenant.api_key.api_key_id)
    page.get_by_label("Its secret").fill(console.tenant.api_secret.reveal())
    page.get_by_role("button", name="Sign in").press("Enter")
    page.wait_for_url(f"**{path}*")


def test_a_vault_credential_is_made_and_the_set_up_follows_what_is_typed(console: Console):
    with visiting(console.browser, console.server.url) as (page, complaints):
        sign_in(page, console, console.page)
        page.get_by_role("link", name="New credential").click()
        page.get_by_role("link", name="Vault OIDC").click()
        page.get_by_text("Command line", exact=True).click()
        commands = page.locator("#set-up-bao")
        expect(commands).to_contain_text("role/<role-name>")
        page.get_by_label("Role Name").press_sequentially("web-production")
        expect(commands).to_contain_text("/role/web-production")
        page.get_by_label("JWT Auth Backend Path").fill("jwt")
        expect(commands).to_contain_text("bao write auth/jwt/role/web-production -")
        expect(commands, "what was unfolded stays so").to_be_visible()
        expect(page.locator("button[data-copies=set-up-bao]"), "it can be copied again").to_be_visible()
        page.get_by_label("Token format").select_option("credential")
        expect(page.locator("#set-up-audience")).to_have_text("urn:runpass:credential:<credential id>")
        page.get_by_label("Name", exact=True).fill("vault of web")
        page.get_by_label("Address").fill("https://vault.example.com:8200")
        expect(commands).to_contain_text("export BAO_ADDR=https://vault.example.com:8200")
        expect(page.get_by_text("Placeholders stand for")).to_have_count(0)
        if os.environ.get("WRITE_SCREENSHOT") == "1":
            page.evaluate("scrollTo(0, 0)")
            page.screenshot(path=SCREENSHOT)
        page.get_by_label("Address").fill("vault.example.com")
        page.get_by_role("button", name="Make the credential").click()
        expect(page.get_by_role("alert")).to_contain_text("Nothing was saved.")
        assert "422" in "".join(complaints.take())
        address = page.get_by_label("Address")
        expect(address).to_have_attribute("aria-invalid", "true")
        expect(page.locator("#field-address-error")).to_contain_text("must be a URL such as")
        expect(page.get_by_label("Role Name")).to_have_value("web-production")
        address.fill("https://vault.example.com:8200")
        expect(page.get_by_text("Placeholders stand for")).to_have_count(0)
        page.get_by_role("button", name="Make the credential").click()
        expect(page.get_by_role("status")).to_have_text("The credential was made.")
        credential_id = page.url.partition("?")[0].rpartition("/")[2]
        expect(page.locator("#set-up-audience")).to_have_text(f"urn:runpass:credential:{credential_id}")
        page.get_by_role("link", name="Delete…").click()
        page.get_by_role("button", name="Delete it").click()
        expect(page.get_by_role("status")).to_have_text("The credential was deleted.")


def test_the_form_fits_a_phone(console: Console):
    with visiting(console.browser, console.server.url, width=360) as (page, _):
        sign_in(page, console, f"{console.page}/new?kind=VAULT_OIDC")
        for name in ("Command line", "Terraform", "Steps in the Vault's pages"):
            page.get_by_text(name, exact=True).click()
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
