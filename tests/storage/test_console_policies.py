"""The pages of policies: what they change, what they warn of, what they foretell, and that texts are only read."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from console import HOST, Browser, console
from factories import Tenant, World
from runpass.server.credentials.model import StoredCredential
from runpass.server.credentials.store import record_role
from runpass.server.settings import ServerSettings
from runpass.server.tenancy import store
from runpass.server.tenancy.model import IdentityIssuer, Organization

EVIL = "<script>alert(1)</script>\"'&amp;{{70001*70001}}\u202e\x1b[31m"
TYPED = {"identityIssuer": "shared", "enableOidc": "true"}


@pytest.fixture
def client(world: World) -> Iterator[TestClient]:
    with console(world) as found:
        yield found


@pytest.fixture
def browser(client: TestClient, tenant: Tenant) -> Browser:
    found = Browser(client)
    found.sign_in((tenant.api_key.api_key_id, tenant.api_secret.reveal()))
    return found


def page_of(tenant: Tenant) -> str:
    return f"/console/organizations/{tenant.id}/policies"


def now(tenant: Tenant) -> Organization:
    with tenant.world.database.read() as tx:
        found = store.get_organization(tx, tenant.id)
    assert found is not None
    return found


def send(browser: Browser, page: str, fields: dict[str, str], path: str = "", **headers: str) -> tuple[int, str]:
    sent = {"Sec-Fetch-Site": "same-origin", **headers}
    answer = browser.post(path or page, browser.form(page) | fields, sent)
    return answer.status_code, answer.headers.get("location") or answer.text


def recorded(tenant: Tenant, credential: StoredCredential, issuer: str, **role: Any) -> None:
    said = {"role_name": "deploy", "mount": "jwt", "role": json.dumps(role)}
    with tenant.world.database.write() as tx:
        record_role(tx, credential.id, {**said, "config": json.dumps({"bound_issuer": issuer})})


def test_policies_are_changed_and_what_is_empty_is_taken_away(browser: Browser, tenant: Tenant):
    page = page_of(tenant)
    everything = {
        **TYPED,
        "identitySubject": "organizationId, projectId\r\nenvironmentId",
        "identityAwsTags": "true",
        "identityAwsTransitiveTags": "projectId",
        "limitsAudiences": "true",
        "allowedIdentityAudiences": "https://one.example.com\r\nhttps://two.example.com/*",
        "requiresApproval": "true",
        "maxTtl": "1-w",
        "defaultTtl": "3-d",
        "allowClearTextVault": "true",
    }
    assert send(browser, page, everything) == (303, f"{page}?done=changed")
    found = now(tenant)
    assert (found.enable_oidc, found.allow_clear_text_vault) == (True, True)
    assert found.policies == {
        "identity_issuer": "shared",
        "identity_subject": ["organizationId", "projectId", "environmentId"],
        "identity_prefixed_claims": False,
        "identity_aws_tags": True,
        "identity_aws_transitive_tags": ["projectId"],
        "allowed_identity_audiences": ["https://one.example.com", "https://two.example.com/*"],
        "requires_approval": True,
        "max_ttl": "1-w",
        "default_ttl": "3-d",
    }
    shown = browser.get(f"{page}?done=changed").text
    assert "The policies were changed." in shown
    assert "organizationId\nprojectId\nenvironmentId</textarea>" in shown
    assert send(browser, page, {**TYPED, "limitsAudiences": "true"})[0] == 303
    assert now(tenant).policies["allowed_identity_audiences"] == []
    assert send(browser, page, TYPED)[0] == 303
    found = now(tenant)
    assert [name for name, value in found.policies.items() if value not in {None, False}] == ["identity_issuer"]


def test_what_is_wrong_stands_at_its_field_and_nothing_is_changed(browser: Browser, tenant: Tenant):
    page, before = page_of(tenant), now(tenant)
    for fields, where in (
        ({"identitySubject": "projectId"}, "identitySubject"),
        ({"identitySubject": "organizationId\r\nnothing"}, "identitySubject"),
        ({"maxTtl": "soon"}, "maxTtl"),
        ({"maxTtl": "1-d", "defaultTtl": "1-w"}, "defaultTtl"),
        ({"limitsAudiences": "true", "allowedIdentityAudiences": "with a space"}, "allowedIdentityAudiences"),
    ):
        status, text = send(browser, page, {**TYPED, **fields})
        assert status == 422, fields
        assert f'id="field-{where}-error"' in text, fields
    assert "with a space</textarea>" in text
    stale = browser.form(page) | TYPED
    assert send(browser, page, {**TYPED, "maxTtl": "1-w"})[0] == 303
    assert browser.post(page, stale).status_code == 412
    assert now(tenant).policies["max_ttl"] == "1-w"
    assert before.policies.get("max_ttl") is None


def test_another_issuer_than_the_one_that_vaults_trust_needs_a_second_word(browser: Browser, tenant: Tenant):
    page, credential = page_of(tenant), tenant.credential(address="https://vault.example.com")
    recorded(tenant, credential, f"{HOST}/")
    assert "recorded Vault configs refuse" not in browser.get(page).text
    assert send(browser, page, {"identityIssuer": "prepared"})[0] == 303, "tokens stay of the shared one"
    status, text = send(browser, page, {"identityIssuer": "own"})
    assert status == 422
    assert "https://vault.example.com auth/jwt" in text
    assert 'name="despiteVaults"' in text
    assert now(tenant).identity_issuer is IdentityIssuer.PREPARED
    assert send(browser, page, {"identityIssuer": "own", "despiteVaults": "true"})[0] == 303
    assert now(tenant).identity_issuer is IdentityIssuer.OWN
    assert "1 of 1 recorded Vault configs refuse every token of your runs" in browser.get(page).text
    recorded(tenant, credential, f"{HOST}/o/{tenant.id}/")
    assert "recorded Vault configs refuse" not in browser.get(page).text


def test_what_vaults_trust_is_told_to_programs_too(client: TestClient, tenant: Tenant):
    recorded(tenant, tenant.credential(), "https://another.example.com/")
    other = tenant.credential(name="other")
    with tenant.world.database.write() as tx:
        record_role(tx, other.id, {"role_name": "x", "mount": "jwt", "role": "{}", "config": "no JSON"})
    auth = (tenant.api_key.api_key_id, tenant.api_secret.reveal())
    (found,) = client.get(f"/api/organizations/{tenant.id}/recorded-issuers", auth=auth).json()
    assert (found["issuer"], found["takesTokens"]) == ("https://another.example.com/", False)


def test_a_preview_says_what_sub_would_be_and_which_role_is_lost(browser: Browser, tenant: Tenant):
    project, environment = tenant.somewhere_to_deploy()
    credential, page = tenant.credential(), page_of(tenant)
    tenant.assign(credential, project)
    bound = {"bound_subject": now(tenant).oidc_sub, "bound_audiences": [ServerSettings().audience]}
    recorded(tenant, credential, f"{HOST}/", **bound, role_type="jwt", user_claim="sub")
    assert "now and then" in browser.get(page).text
    typed = {**TYPED, "environmentId": str(environment.id), "identitySubject": "organizationId\r\nprojectId"}
    status, part = send(browser, page, typed, f"{page}/preview", **{"HX-Request": "true"})
    assert status == 200
    assert f"{tenant.id}:projectId:{project.id}" in part
    assert "1 recorded role would refuse these runs." in part
    assert "<html" not in part
    whole = send(browser, page, {**typed, "maxTtl": "half typed"}, f"{page}/preview")[1]
    assert f"{tenant.id}:projectId:{project.id}" in whole
    assert "organizationId\nprojectId</textarea>" in whole
    assert "There is no preview" in send(browser, page, {"identitySubject": "x"}, f"{page}/preview")[1]
    for strange in ("x", str(tenant.id)):
        assert "There is no preview" in send(browser, page, {"environmentId": strange}, f"{page}/preview")[1]
    assert now(tenant).policies.get("identity_subject") is None


def test_a_project_has_a_policy_of_its_own_and_keeps_what_the_form_does_not_show(browser: Browser, tenant: Tenant):
    above = tenant.project("above")
    project = tenant.project("below", above)
    page = f"/console/projects/{project.id}/policies"
    with tenant.world.database.write() as tx:
        store.change_project(tx, project, {"policies": {"number_of_environments": 7}}, tenant.world.clock.now())
    above_page = f"/console/projects/{above.id}/policies"
    assert send(browser, above_page, {"requiresApprovalDefault": "true", "maxTtl": "2-d", "defaultTtl": ""})[0] == 303
    text = browser.get(page).text
    assert "Every plan waits for an approval" in text
    assert "<dd>2 days</dd>" in text
    assert send(browser, page, {"maxTtl": "1-h", "defaultTtl": "inherit"}) == (303, f"{page}?done=changed")
    assert "<dd>0 days 1 h</dd>" in browser.get(page).text
    with tenant.world.database.read() as tx:
        found = store.get_project(tx, tenant.id, project.id)
    assert found is not None
    assert (found.policies["number_of_environments"], found.policies["max_ttl"]) == (7, "1-h")
    status, text = send(browser, page, {"maxTtl": "soon"})
    assert status == 422
    assert 'id="field-maxTtl-error"' in text


def test_no_text_of_anybody_does_more_than_be_read(browser: Browser, tenant: Tenant):
    project = tenant.project(f"project{EVIL}")
    environment = tenant.environment(project, tenant.template(project), f"environment{EVIL}")
    credential = tenant.credential(name=f"credential{EVIL}")
    tenant.assign(credential, project)
    recorded(tenant, credential, f"issuer{EVIL}", bound_subject=f"bound{EVIL}", user_claim="sub")
    tenant.set_organization(name=f"organization{EVIL}", oidc_sub=f"sub{EVIL}"[:64])
    page = page_of(tenant)
    typed = {
        **TYPED,
        "environmentId": str(environment.id),
        "maxTtl": f"typed{EVIL}",
        "identitySubject": "organizationId",
    }
    seen = ""
    for text in (
        browser.get(page).text,
        send(browser, page, typed)[1],
        send(browser, page, typed, f"{page}/preview")[1],
        browser.get(f"/console/projects/{project.id}/policies").text,
    ):
        assert "<script" not in text.partition("<main")[2]
        assert "4900140001" not in text
        assert "\u202e" not in text
        assert "\x1b" not in text
        seen += text
    names = ("project", "environment", "credential", "issuer", "bound", "organization", "sub", "typed")
    assert [name for name in names if f"{name}&lt;script&gt;" not in seen] == []
