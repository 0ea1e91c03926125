"""The page of signing keys: whose they are, when they sign, and which Vaults are known to have them."""

from collections.abc import Iterator

import pytest
from sqlalchemy import update

from console import Browser, console, new_key
from factories import Tenant, World
from key_scene import rotate, start_rings
from runpass.server.access.permissions import OrganizationRole
from runpass.server.db.schema import metadata
from runpass.server.vault_tasks import verifiers
from runpass.server.vault_tasks.key_checks import want_key_checks
from runpass.server.vault_tasks.known_vaults import vaults_of

EVIL = "<script>alert(1)</script>\"'&amp;{{70001*70001}}\u202e\x1b[31m"


@pytest.fixture
def browser(world: World, tenant: Tenant) -> Iterator[Browser]:
    with console(world) as client:
        browser = Browser(client)
        browser.sign_in((tenant.api_key.api_key_id, tenant.api_secret.reveal()))
        yield browser


def page(browser: Browser, tenant: Tenant) -> str:
    answer = browser.get(f"/console/organizations/{tenant.id}/signing-keys")
    assert answer.status_code == 200
    return str(answer.text)


def test_a_rotation_is_told_as_a_picture_and_as_a_table(browser: Browser, world: World, tenant: Tenant):
    rings = start_rings(world)
    first = rings.shared.signing.kid
    rotate(world, rings)
    second = rings.shared.signing.kid
    text = page(browser, tenant)
    assert f"<code>{first}</code>" in text
    assert f"<code>{second}</code>" in text
    assert '<span class="badge">retiring</span>' in text
    assert '<span class="badge">active</span>' in text
    for kind in ("signs", "published", "kept", "planned", "now"):
        assert f'class="{kind}"' in text, kind
    assert "planned: <time" in text
    assert "style=" not in text


def test_only_a_vault_with_a_url_of_its_own_is_waited_for_and_others_are_unknown(
    browser: Browser, world: World, tenant: Tenant
):
    start_rings(world)
    tenant.credential(name="shared", address="https://shared.example.com")
    own = tenant.credential(name="own", address="https://own.example.com")
    with world.database.write() as tx:
        verifiers.give(tx, own, tenant.admin, world.clock.now())
    stranger = world.tenant("stranger")
    stranger.credential(address="https://elsewhere.example.com")
    text = page(browser, tenant)
    shared, own_row = text.partition("https://shared.example.com")[2], text.partition("https://own.example.com")[2]
    assert "unknown</span>" in shared.partition("</tr>")[0]
    assert "not yet</span>" in own_row.partition("</tr>")[0]
    assert "elsewhere.example.com" not in text, "another organization's Vault"


def test_whoever_sees_no_credentials_sees_no_vault(world: World, tenant: Tenant):
    start_rings(world)
    tenant.credential()
    with console(world) as client:
        browser = Browser(client)
        browser.sign_in(new_key(world, tenant.id, OrganizationRole.USER))
        text = page(browser, tenant)
    assert "vault.example.com" not in text
    assert "VIEW_CREDENTIALS" in text


def test_an_own_issuer_is_shown_with_its_keys_once_it_was_chosen(browser: Browser, world: World, tenant: Tenant):
    rings = start_rings(world)
    assert "own issuer</h2>" not in page(browser, tenant)
    kid = rings.ring_for(tenant.id).signing.kid
    tenant.set_organization(policies={"identity_issuer": "own"})
    text = page(browser, tenant)
    assert kid in text
    assert f"/o/{tenant.id}/.well-known/jwks.json" in text
    assert "all Vaults fetch the keys of the organization" in text


def test_no_text_of_anybody_does_more_than_be_read(browser: Browser, world: World, tenant: Tenant):
    kid = start_rings(world).shared.signing.kid
    tenant.credential()
    with world.database.write() as tx:
        table = metadata.tables["credentials"]
        value = {"address": EVIL, "namespace": f"ns{EVIL}", "jwtAuthBackendPath": f"mount{EVIL}"}
        tx.execute(update(table).values(value=value))
        tx.execute(update(metadata.tables["organizations"]).values(name=f"org{EVIL}"))
        (vault,) = vaults_of(tx, tenant.id, 10)
        want_key_checks(tx, [vault], world.clock.now(), about_kid=kid)
        tx.execute(update(metadata.tables["key_checks"]).values(said=f"said{EVIL}"))
    text = page(browser, tenant).partition("<main")[2]
    assert "<script" not in text
    assert "4900140001" not in text
    assert "\u202e" not in text
    assert "\x1b" not in text
    for name in ("org", "ns", "mount", "said"):
        assert f"{name}&lt;script&gt;" in text, name
