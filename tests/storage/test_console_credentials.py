"""The pages of an organization's credentials: what they show and to whom, on real rows."""

from collections.abc import Iterator
from html import unescape
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update
from starlette.testclient import TestClient

from authority import Authority
from console import OURS, Browser, console, new_key
from credential_values import CANARY, VALUES
from factories import Tenant, World
from runpass.ids import CredentialId
from runpass.protocol.credentials import CLASSES, CredentialKind, parse
from runpass.server.access.permissions import OrganizationRole, ProjectRole
from runpass.server.credentials.form_fields import OWN
from runpass.server.credentials.kind_names import LABELS, kind_groups
from runpass.server.credentials.model import StoredCredential
from runpass.server.credentials.sealing import unseal
from runpass.server.credentials.store import get_credential
from runpass.server.credentials.vault_setup import USED
from runpass.server.db.schema import metadata
from runpass.server.db.schema.audit import audit_events
from runpass.server.db.schema.credentials import credentials

EVIL = "<script>alert(1)</script>\"'&amp;{{70001*70001}}\u202e\x1b[31m"


@pytest.fixture
def client(world: World) -> Iterator[TestClient]:
    with console(world) as found:
        yield found


@pytest.fixture
def browser(client: TestClient, tenant: Tenant) -> Browser:
    found = Browser(client)
    found.sign_in((tenant.api_key.api_key_id, tenant.api_secret.reveal()))
    return found


def list_of(tenant: Tenant) -> str:
    return f"/console/organizations/{tenant.id}/credentials"


def harmless(text: str) -> None:
    """Nothing of `EVIL` does more than be read."""
    assert "<script>alert" not in text
    assert "4900140001" not in text
    assert "\u202e" not in text
    assert "\x1b" not in text


def test_every_kind_has_a_name_and_is_offered_once():
    assert set(LABELS) == set(CredentialKind)
    offered = [one.kind for group in kind_groups() for one in group.kinds]
    assert sorted(offered) == sorted(CredentialKind)
    assert offered[0] is CredentialKind.VAULT_OIDC
    assert all(one.about and not one.about.startswith("SECURITY") for group in kind_groups() for one in group.kinds)


def test_the_list_is_filtered_by_name_and_type_and_paged(browser: Browser, tenant: Tenant):
    assert "There is no credential yet." in browser.get(list_of(tenant)).text
    project = tenant.project("web")
    tenant.credential(name="Main vault")
    tenant.credential(project, name="vault of web")
    cluster = parse(CredentialKind.K8S_EKS_AUTH, {"clusterName": "c", "clusterRegion": "r"})
    tenant.credential_of(cluster, CredentialKind.K8S_EKS_AUTH, name="cluster")
    text = browser.get(list_of(tenant)).text
    assert text.index(">Main vault<") < text.index(">vault of web<") < text.index(">cluster<")
    assert f'href="/console/projects/{project.id}">web<' in text
    filtered = browser.get(f"{list_of(tenant)}?name=VAULT&kind=VAULT_OIDC").text
    assert (">Main vault<" in filtered, ">cluster<" in filtered) == (True, False)
    only = browser.get(f"{list_of(tenant)}?kind=K8S_EKS_AUTH").text
    assert (">Main vault<" in only, ">cluster<" in only) == (False, True)
    assert "No credential that you may see is like this." in browser.get(f"{list_of(tenant)}?name=absent").text
    assert browser.get(f"{list_of(tenant)}?kind=X").status_code == 422
    for number in range(50):
        tenant.credential(name=f"many {number}")
    assert "name=many&amp;offset=50" not in browser.get(f"{list_of(tenant)}?name=many").text
    assert 'rel="next"' in browser.get(list_of(tenant)).text
    assert 'rel="next"' not in browser.get(f"{list_of(tenant)}?offset=50").text


def test_an_admin_of_a_project_sees_the_credentials_of_the_project_alone(
    client: TestClient, world: World, tenant: Tenant
):
    project, other = tenant.project("mine"), tenant.project("other")
    own, foreign, whole = (
        tenant.credential(project, name="own"),
        tenant.credential(other, name="foreign"),
        tenant.credential(name="whole"),
    )
    browser = Browser(client)
    browser.sign_in(new_key(world, tenant.id, OrganizationRole.USER, {project.id: ProjectRole.ADMIN}))
    text = browser.get(list_of(tenant)).text
    assert [name for name in (">own<", ">foreign<", ">whole<") if name in text] == [">own<"]
    assert browser.get(f"/console/credentials/{own.id}").status_code == 200
    for hidden in (foreign, whole):
        assert browser.get(f"/console/credentials/{hidden.id}").status_code == 404
        assert browser.get(f"/console/credentials/{hidden.id}/delete").status_code == 404


def test_what_a_credential_says_is_shown_and_what_is_secret_in_it_is_not(browser: Browser, tenant: Tenant):
    kind, values = CredentialKind.AWS_ACCESS_KEYS_FOR_DEPLOYMENT, {"accessKeyId": "AKIA", "secretAccessKey": CANARY}
    keys = tenant.credential_of(parse(kind, values), kind)
    text = browser.get(f"/console/credentials/{keys.id}").text
    assert "<code>AKIA</code>" in text
    assert "is kept, and never shown" in text
    assert CANARY not in text
    assert "no runner serves it yet" in text
    assert "/tests" not in text
    client = Authority().client()
    vault = tenant.credential(clientCertificate=client.certificate, clientKey=client.key, namespace="team-a")
    text = browser.get(f"/console/credentials/{vault.id}").text
    assert "BEGIN CERTIFICATE" in text
    assert "PRIVATE KEY" not in text
    assert "<code>team-a</code>" in text
    assert f'href="/console/credentials/{vault.id}/tests"' in text


def test_before_it_is_deleted_a_page_says_what_breaks(browser: Browser, world: World, tenant: Tenant):
    top = tenant.project("top")
    below, replaced = tenant.project("below", top), tenant.project("replaced", top)
    vault, nearer = tenant.credential(name="vault"), tenant.credential(name="nearer")
    tenant.assign(vault, top)
    tenant.assign(nearer, replaced)
    for project in (top, below, replaced):
        tenant.environment(project, None, f"in {project.name}")
    for number in range(25):
        tenant.environment(below, None, f"many {number}")
        tenant.assign(vault, tenant.project(f"project {number:02}"))
    page = f"/console/credentials/{vault.id}/delete"
    text = browser.get(page).text
    assert ">project 00<" in text
    assert "And 6 more." in text
    assert ">in top<" in text
    assert ">in below<" in text
    assert ">in replaced<" not in text, "a nearer one of the same type counts there"
    assert "And 7 more." in text
    answer = browser.post(page, browser.form(page))
    assert (answer.status_code, answer.headers["location"]) == (303, f"{list_of(tenant)}?done=deleted")
    assert "The credential was deleted." in browser.get(answer.headers["location"]).text
    with world.database.read() as tx:
        assert get_credential(tx, tenant.id, vault.id) is None
        assert get_credential(tx, tenant.id, nearer.id) is not None
    assert browser.get(f"/console/credentials/{vault.id}").status_code == 404
    assert "It is assigned to no project." in browser.get(f"/console/credentials/{tenant.credential().id}/delete").text


@pytest.mark.parametrize("kind", CredentialKind)
def test_no_text_of_a_credential_does_more_than_be_read(
    browser: Browser, world: World, tenant: Tenant, kind: CredentialKind
):
    project = tenant.project()
    credential = tenant.credential_of(parse(CredentialKind.VAULT_OIDC, vault()), CredentialKind.VAULT_OIDC, project)
    tenant.assign(credential, project)
    tenant.environment(project, None)
    evil = {str(field.alias): f"{field.alias}{EVIL}" for field in CLASSES[kind].model_fields.values()}
    with world.database.write() as tx:
        changed = {"name": f"credential-name{EVIL}", "type": kind.value, "value": evil, "created_by": f"maker{EVIL}"}
        tx.execute(update(credentials).values(changed))
        for table in ("projects", "environments"):
            tx.execute(update(metadata.tables[table]).values(name=f"{table}-name{EVIL}"))
    here = f"/console/credentials/{credential.id}"
    texts = [browser.get(path).text for path in (list_of(tenant), here, f"{here}/delete")]
    for text in texts:
        harmless(text)
    shown = ("credential-name", "maker", "projects-name", "environments-name")
    assert [name for name in shown if f"{name}&lt;script&gt;" not in "".join(texts)] == []


def vault() -> dict[str, str]:
    return {
        "address": "https://vault.example.com:8200",
        "version": "1.18.0",
        "roleName": "deploy",
        "jwtAuthBackendPath": "jwt",
    }


def send(browser: Browser, page: str, fields: dict[str, str], path: str = "") -> tuple[int, str]:
    """Send a form of a page; give the status, and the text or the place it leads to."""
    answer = browser.post(path or page, browser.form(page) | fields)
    return answer.status_code, answer.headers.get("location") or answer.text


def stored(world: World, tenant: Tenant, credential_id: Any) -> StoredCredential:
    with world.database.read() as tx:
        found = get_credential(tx, tenant.id, CredentialId(UUID(str(credential_id))))
    assert found is not None
    return found


def actions(world: World) -> list[str]:
    with world.database.read() as tx:
        found = tx.execute(select(audit_events.c.action).order_by(audit_events.c.id)).scalars()
        return [item for item in found if item.startswith("credential.")]


def test_no_kind_has_a_field_with_a_name_that_the_form_uses_itself():
    for kind in CredentialKind:
        assert not OWN & {field.alias for field in CLASSES[kind].model_fields.values()}, kind


def test_every_kind_can_be_chosen_and_has_its_form(browser: Browser, tenant: Tenant):
    picker = browser.get(f"{list_of(tenant)}/new").text
    for kind in CredentialKind:
        path = f"{list_of(tenant)}/new?kind={kind.value}"
        assert path in picker
        text = browser.get(path).text
        for field in CLASSES[kind].model_fields.values():
            assert f'name="{field.alias}"' in text, (kind, field.alias)
    assert browser.get(f"{list_of(tenant)}/new?kind=X").status_code == 422


@pytest.mark.parametrize("kind", CredentialKind)
def test_a_credential_of_every_kind_is_made_and_changed_and_its_secret_stays(
    browser: Browser, world: World, tenant: Tenant, kind: CredentialKind
):
    fields = {name: item for name, item in VALUES[kind].items() if isinstance(item, str)}
    fields |= {name: str(item) for name, item in VALUES[kind].items() if isinstance(item, int)}
    page = f"{list_of(tenant)}/new?kind={kind.value}"
    status, place = send(browser, page, {"name": "made", **fields}, list_of(tenant))
    assert status == 303, place
    assert "The credential was made." in browser.get(place).text
    here = place.partition("?")[0]
    before = stored(world, tenant, here.rpartition("/")[2])
    value = unseal(world.cipher, before)
    expected = parse(kind, VALUES[kind] | ({"exportToken": False} if kind is CredentialKind.VAULT_OIDC else {}))
    assert value == expected
    text = browser.get(f"{here}/edit").text
    assert CANARY not in text
    secret = {str(field.alias) for field in CLASSES[kind].model_fields.values() if "Secret" in str(field.annotation)}
    again = {name: item for name, item in fields.items() if name not in secret}
    assert send(browser, f"{here}/edit", again) == (303, f"{here}?done=changed")
    assert unseal(world.cipher, stored(world, tenant, before.id)) == expected
    assert actions(world) == ["credential.created", "credential.changed"]


def test_what_is_wrong_stands_at_its_field_and_what_was_typed_stays_but_for_secrets(browser: Browser, tenant: Tenant):
    page = f"{list_of(tenant)}/new?kind=VAULT_OIDC"
    wrong = {"name": "", "address": "vault typed", "roleName": "a b", "proxy": "typed-proxy", "clientKey": CANARY}
    status, text = send(browser, page, wrong, list_of(tenant))
    assert status == 422
    for name in ("name", "address", "roleName", "jwtAuthBackendPath", "proxy", "clientKey"):
        assert f'id="field-{name}-error"' in text, name
    assert "vault typed" in text
    assert "typed-proxy" in text
    assert CANARY not in text
    assert "<details open>" in text, "something is wrong among what is folded away"
    assert "Type what is secret again" in text
    clear = {"name": "n", "address": "http://vault.example.com", "roleName": "r", "jwtAuthBackendPath": "jwt"}
    status, text = send(browser, page, clear, list_of(tenant))
    assert (status, 'id="field-address-error"' in text) == (422, True)
    for scope in ("typed", "00000000-0000-7000-8000-000000000000"):
        good = {**clear, "address": "https://vault.example.com", "scope": scope}
        status, text = send(browser, page, good, list_of(tenant))
        assert (status, 'id="field-scope-error"' in text) == (422, True)
    status, text = send(browser, page, {"type": "X"}, list_of(tenant))
    assert status == 422


def test_an_admin_of_a_project_makes_one_for_it_and_for_no_other(client: TestClient, world: World, tenant: Tenant):
    project, other = tenant.project("mine"), tenant.project("other")
    browser = Browser(client)
    browser.sign_in(new_key(world, tenant.id, OrganizationRole.USER, {project.id: ProjectRole.ADMIN}))
    page = f"{list_of(tenant)}/new?kind=K8S_EKS_AUTH"
    text = browser.get(page).text
    assert ">mine<" in text
    assert ">other<" not in text
    assert "The whole organization" not in text
    fields = {"name": "new", "clusterName": "c", "clusterRegion": "r"}
    assert send(browser, page, {**fields, "scope": str(project.id)}, list_of(tenant))[0] == 303
    assert send(browser, page, {**fields, "scope": str(other.id)}, list_of(tenant))[0] == 422
    assert send(browser, page, {**fields, "scope": ""}, list_of(tenant))[0] == 403


def test_where_there_are_too_many_projects_to_choose_from_one_is_named_by_its_id(browser: Browser, tenant: Tenant):
    for number in range(201):
        tenant.project(f"project {number}")
    text = browser.get(f"{list_of(tenant)}/new?kind=K8S_EKS_AUTH").text
    assert '<input id="field-scope"' in text


def test_a_client_key_goes_with_its_certificate_and_must_fit_another_one(
    browser: Browser, world: World, tenant: Tenant
):
    mine, other = Authority().client(), Authority().client()
    credential = tenant.credential(clientCertificate=mine.certificate, clientKey=mine.key, secretNamespace="")
    page = f"/console/credentials/{credential.id}/edit"
    assert 'value="root"' in browser.get(page).text
    fields = {**vault(), "secretNamespace": "root", "clientCertificate": other.certificate}
    status, text = send(browser, page, fields)
    assert (status, "is not the key of clientCertificate" in text) == (422, True)
    assert "PRIVATE KEY" not in text.replace("-----BEGIN PRIVATE KEY-----", "", 1), "the example alone"
    assert send(browser, page, {**fields, "clientCertificate": ""})[0] == 303
    now = stored(world, tenant, credential.id)
    assert now.value.secret is None
    assert now.value.clear["secretNamespace"] == ""


def test_a_form_that_was_drawn_before_a_change_overwrites_nothing(browser: Browser, world: World, tenant: Tenant):
    credential = tenant.credential()
    page = f"/console/credentials/{credential.id}/edit"
    before = browser.form(page)
    assert send(browser, page, {**vault(), "roleName": "first"})[0] == 303
    answer = browser.post(page, {**before, **vault(), "roleName": "second"})
    assert answer.status_code == 412
    assert stored(world, tenant, credential.id).value.clear["roleName"] == "first"


@pytest.mark.parametrize("kind", CredentialKind)
def test_nothing_that_is_typed_does_more_than_be_read(browser: Browser, tenant: Tenant, kind: CredentialKind):
    tenant.project(f"project{EVIL}")
    fields = {str(field.alias): f"{field.alias}{EVIL}" for field in CLASSES[kind].model_fields.values()}
    page = f"{list_of(tenant)}/new?kind={kind.value}"
    sent = {"name": f"name{EVIL}", "scope": f"scope{EVIL}", **fields}
    status, text = send(browser, page, sent, list_of(tenant))
    assert status == 422
    harmless(text)
    credential = tenant.credential_of(parse(kind, VALUES[kind]), kind, name=f"called{EVIL}")
    edit = f"/console/credentials/{credential.id}/edit"
    send(browser, edit, fields)  # refused, but for a kubeconfig, which may hold anything
    for text in (browser.get(edit).text, send(browser, edit, {**fields, "seen": "old"})[1]):
        harmless(text)
        assert "called&lt;script&gt;" in text


PARTS = {**OURS, "HX-Request": "true"}
"""What a browser sends with the form while it is typed."""


def set_up(browser: Browser, page: str, path: str, fields: dict[str, str]) -> str:
    answer = browser.post(path, {**browser.form(page), **fields}, PARTS)
    assert answer.status_code == 200
    return str(answer.text)


def test_the_set_up_follows_what_is_typed_and_has_placeholders_for_the_rest(browser: Browser, tenant: Tenant):
    page, path = f"{list_of(tenant)}/new?kind=VAULT_OIDC", f"{list_of(tenant)}/set-up"
    empty = browser.get(page).text
    for text in ("&lt;role-name&gt;", "&lt;credential id&gt;", "&lt;project id&gt;", tenant.organization.oidc_sub):
        assert text in empty
    assert 'hx-params="form_token,address,roleName,' in empty
    assert "clientKey" not in empty[empty.index("hx-params") : empty.index("hx-swap")]
    typed = set_up(browser, page, path, {"roleName": "web-production", "jwtAuthBackendPath": "team/jwt"})
    assert "bao write auth/team/jwt/role/web-production" in typed
    assert "vault write auth/team/jwt/role/web-production" in typed
    assert "role_name = &#34;web-production&#34;" in typed
    assert "Placeholders stand for what is not right yet: Address." in typed
    assert str(tenant.id) in typed
    beyond = set_up(browser, page, path, {**vault(), "namespace": "a", "secretNamespace": "b"})
    assert "not below that of the auth method" in beyond
    whole = browser.post(path, {**browser.form(page), **vault(), "name": "typed"})
    assert (whole.status_code, 'value="typed"' in whole.text) == (200, True)
    assert "auth/jwt/role/deploy" in whole.text


def test_the_set_up_of_a_credential_has_its_id_and_the_projects_that_get_it(browser: Browser, tenant: Tenant):
    credential = tenant.credential(tokenFormat="credential")
    here = f"/console/credentials/{credential.id}"
    assert "none has it yet: assign it first" in browser.get(here).text
    top = tenant.project("top")
    below = tenant.project("below", top)
    tenant.assign(credential, top)
    for text in (browser.get(here).text, set_up(browser, f"{here}/edit", f"{here}/set-up", vault())):
        assert str(top.id) in text
        assert str(below.id) in text
        assert "&lt;project id&gt;" not in text
        assert str(credential.id) in text
    assert f"urn:runpass:credential:{credential.id}" in browser.get(here).text


def test_what_is_typed_is_quoted_for_the_shell_and_for_terraform(browser: Browser, tenant: Tenant):
    page, path = f"{list_of(tenant)}/new?kind=VAULT_OIDC", f"{list_of(tenant)}/set-up"
    nasty = "'$(id)`id`\"${file(1)}"
    fields = {"address": "https://v.example.com/$(id)", "roleName": nasty, "jwtAuthBackendPath": f"jwt{nasty}"}
    text = unescape(set_up(browser, page, path, fields))
    assert "export BAO_ADDR='https://v.example.com/$(id)'" in text
    assert "bao auth enable '-path=jwt'\"'\"'$(id)`id`\"${file(1)}'" in text
    assert "$${file(1)}" in text
    assert 'path = "jwt\'$(id)`id`\\"$${file(1)}"' in text


def test_the_set_up_shows_what_is_typed_and_obeys_none_of_it(browser: Browser, tenant: Tenant):
    page, path = f"{list_of(tenant)}/new?kind=VAULT_OIDC", f"{list_of(tenant)}/set-up"
    fields = {name: f"{name}<script>alert(1)<script>\u202e" for name in USED}
    harmless(set_up(browser, page, path, fields))
    fields = {"roleName": "role<script>alert(1)<", "jwtAuthBackendPath": "path<script>alert(1)<{{70001*70001}}"}
    text = set_up(browser, page, path, fields)
    harmless(text)
    assert "role&lt;script&gt;" in text
