"""What stands in the set-up of a Vault for what is not known yet, and that nobody else can have it stand there."""

from html import unescape
from uuid import UUID

from console import OURS, Browser, console
from factories import Tenant, World

PARTS = {**OURS, "HX-Request": "true"}
"""What a browser sends with the form while it is typed."""


def test_what_is_typed_cannot_stand_for_a_placeholder_and_lose_its_quotes(world: World, tenant: Tenant):
    """SECURITY: `<credential id>` outside of quotes is two redirections of the shell that it is pasted into."""
    made, below = tenant.credential(), f"/console/organizations/{tenant.id}/credentials"
    here, page = f"/console/credentials/{made.id}", f"{below}/new?kind=VAULT_OIDC"
    with console(world) as client:
        browser = Browser(client)
        browser.sign_in((tenant.api_key.api_key_id, tenant.api_secret.reveal()))
        for number in range(2):
            name = str(UUID(int=number))
            fields = {"address": f"https://{name}", "roleName": name, "jwtAuthBackendPath": name, "namespace": name}
            for at, path in ((page, f"{below}/set-up"), (f"{here}/edit", f"{here}/set-up")):
                text = unescape(browser.post(path, browser.form(at) | fields, PARTS).text)
                assert f"export BAO_ADDR=https://{name}\n" in text
                assert f"bao write -namespace={name} auth/{name}/role/{name} -" in text
