"""What an organization decides about its identity tokens: their `sub`, their optional claims, and the list of them."""

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from approvals import ASKED, approve_as, end, now
from approvals import taken as taken_by
from factories import MovingClock, Tenant, World, holder
from management_api import ManagementApi
from people_of_provider import claims, person_of_provider
from runpass.ids import new_id
from runpass.protocol.identity import ForCredential, ForJob
from runpass.protocol.reports import LogEvent, LogLevel, Report
from runpass.server.access.actors import Actor
from runpass.server.credentials.model import StoredCredential
from runpass.server.db.schema.audit import audit_events
from runpass.server.db.schema.tenancy import organizations
from runpass.server.deployments.audiences import OwnAudiences
from runpass.server.deployments.identity import Passport
from runpass.server.deployments.run_leases import save_report
from runpass.server.issuer.addresses import IssuerAddresses
from runpass.server.issuer.claims import AWS_TAGS, supported
from runpass.server.issuer.discovery import provider_metadata
from runpass.server.issuer.keys import new_key
from runpass.server.issuer.minting import Minter
from runpass.server.issuer.ring import KeyRing
from runpass.server.runners.model import Runner
from runpass.server.templates.model import GitSource
from runpass.server.tenancy.model import Environment, Project
from runpass.server.variables.model import VariableScope
from runpass.server.vault_tasks.connection_tests import TestRules, take_test

ISSUER = "https://id.example.com/"
SHARED = ISSUER[:-1]
TEMPLATE = ["organizationId", "projectId", "environmentId"]
EVERYTHING = {
    "identity_subject": [*TEMPLATE, "credentialId"],
    "identity_prefixed_claims": True,
    "identity_aws_tags": True,
    "identity_aws_transitive_tags": ["projectId"],
}


@pytest.fixture(scope="module")
def ring() -> KeyRing:
    return KeyRing((new_key(MovingClock().now()),))


@pytest.fixture
def minter(world: World, ring: KeyRing) -> Minter:
    return Minter(ring, ISSUER, world.clock)


@pytest.fixture
def passport(world: World, minter: Minter) -> Passport:
    return Passport(world.rules, minter, own=OwnAudiences(SHARED, (ISSUER,)), lifetime=timedelta(minutes=15))


class Run:
    """A run of a project with a credential."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self.project, self.environment = tenant.somewhere_to_deploy()
        self.credential = tenant.credential()
        tenant.assign(self.credential, self.project)
        tenant.queue(self.environment)
        self.runner = tenant.runner()
        self.lease = taken_by(tenant.world, self.runner)

    def tokens(self, passport: Passport) -> tuple[dict[str, Any], dict[str, Any]]:
        """The runner's login token and the job's own."""
        held = holder(self.runner, self.lease)
        login = passport.issue(held, ForCredential(credential_id=self.credential.id))
        return claims(login.token), claims(passport.issue(held, ForJob()).token)


# --- what tokens get


def test_without_a_template_sub_is_what_it_always_was(tenant: Tenant, passport: Passport):
    for found in Run(tenant).tokens(passport):
        assert found["sub"] == str(tenant.id)
        assert not [name for name in found if "://" in name]


def test_a_subject_of_ones_own_stays_until_there_is_a_template(tenant: Tenant, passport: Passport):
    run = Run(tenant)
    tenant.set_organization(oidc_sub="auth0|5f2b9a")
    assert [found["sub"] for found in run.tokens(passport)] == ["auth0|5f2b9a"] * 2
    tenant.set_organization(policies={"identity_subject": ["organizationId"]})
    assert [found["sub"] for found in run.tokens(passport)] == [str(tenant.id)] * 2


def test_every_kind_of_token_has_the_subject_of_the_template(tenant: Tenant, passport: Passport):
    run = Run(tenant)
    tenant.set_organization(policies={"identity_subject": [*TEMPLATE, "credentialId"]})
    login, job = run.tokens(passport)
    place = f"{tenant.id}:projectId:{run.project.id}:environmentId:{run.environment.id}"
    assert login["sub"] == f"{place}:credentialId:{run.credential.id}"
    assert job["sub"] == place


def test_a_connection_test_has_the_policies_of_the_organization_too(tenant: Tenant, world: World, minter: Minter):
    project, credential = tenant.project(), tenant.credential()
    tenant.assign(credential, project)
    tenant.set_organization(policies={"identity_subject": ["organizationId", "projectId"], "identity_aws_tags": True})
    tenant.connection_test(credential, project)
    rules = TestRules(
        world.database, world.cipher, world.clock, minter, SHARED, IssuerAddresses(ISSUER, f"{ISSUER}jwks.json")
    )
    test = take_test(rules, tenant.runner())
    assert test is not None
    for found in (claims(test.login_token), claims(test.expired_token)):
        assert found["sub"] == f"{tenant.id}:projectId:{project.id}"
        assert found[AWS_TAGS]["principal_tags"]["projectId"] == [str(project.id)]


def test_optional_claims_are_of_the_organization_that_asked_for_them(world: World, passport: Passport):
    ours, theirs = Run(world.tenant("ours")), Run(world.tenant("theirs"))
    ours.tenant.set_organization(policies=EVERYTHING)
    for found in ours.tokens(passport):
        assert found["https://env0.com/organization"] == str(ours.tenant.id)
        assert found[AWS_TAGS]["principal_tags"]["organizationId"] == [str(ours.tenant.id)]
        assert found[AWS_TAGS]["transitive_tag_keys"] == ["projectId"]
    for found in theirs.tokens(passport):
        assert found["sub"] == str(theirs.tenant.id)
        assert not [name for name in found if "://" in name]


def test_a_stored_template_that_is_none_gives_no_token(tenant: Tenant, passport: Passport):
    run = Run(tenant)
    for wrong in (["projectId"], ["organizationId", "projectName"], []):
        tenant.set_organization(policies={"identity_subject": wrong})
        with pytest.raises(ValueError, match=r"template|SubjectClaim"):
            run.tokens(passport)


def test_claims_supported_is_what_all_kinds_of_tokens_have_together(
    tenant: Tenant, ring: KeyRing, passport: Passport, minter: Minter
):
    """Every kind of run, with every policy: none has a claim that is not listed, and each that is listed is seen."""
    seen = set(claims(minter.mint_sweeper(tenant.id).token))
    ann = person_of_provider(tenant, "ann@example.com")
    for policies in ({}, EVERYTHING):
        tenant.set_organization(policies=policies)
        project, credential, runner = tenant.project(), tenant.credential(), tenant.runner()
        tenant.assign(credential, project)
        tenant.variable(VariableScope.PROJECT, project.id, "ENV0_OIDC_TAG", "a tag")
        for lease in _plan_and_apply(tenant, project, runner, ann):
            for purpose in (ForJob(), ForCredential(credential_id=credential.id)):
                found = claims(passport.issue(holder(runner, lease), purpose).token)
                seen |= set(found)
                assert ("commit" in found) == (found["phase"] == "apply")
    listed = json.loads(provider_metadata(ISSUER, "x", ring).body)["claims_supported"]
    assert sorted(listed) == sorted(seen) == sorted(supported())


def _plan_and_apply(tenant: Tenant, project: Project, runner: Runner, starter: Actor) -> Any:
    """Give a lease of a plan, and after its approval that of the apply; each is over when the next is asked for."""
    world = tenant.world
    source = GitSource(repository="https://git.example.com/code", revision="main")
    environment = tenant.environment(project, tenant.template(project, terraform=source))
    queued = tenant.queue(environment, ASKED, starter)
    plan = taken_by(world, runner)
    yield plan
    said = LogEvent(
        step="git:clone", number=1, at=world.clock.now(), level=LogLevel.INFO, message=f"Commit {'a1' * 20}"
    )
    save_report(world.rules, holder(runner, plan), Report(fencing_token=plan.fencing_token, events=(said,)))
    end(world, runner, plan)
    approve_as(tenant, now(tenant, queued), tenant.admin)
    apply = taken_by(world, runner)
    yield apply
    end(world, runner, apply)


# --- the policies


def test_an_organization_gives_back_what_it_decided_and_null_takes_it_away(api: ManagementApi, tenant: Tenant):
    path = f"/organizations/{tenant.id}/policies"
    sent = {
        "identitySubject": TEMPLATE,
        "identityPrefixedClaims": True,
        "identityAwsTags": True,
        "identityAwsTransitiveTags": ["projectId"],
    }
    assert api.call("POST", path, sent).items() >= sent.items()
    kept = api.call("POST", path, {"maxTtl": None, "defaultTtl": None})  # all that env0's provider sends
    assert kept.items() >= sent.items()
    cleared = api.call("POST", path, {"identitySubject": None, "identityAwsTransitiveTags": None})
    assert (cleared["identitySubject"], cleared["identityAwsTransitiveTags"]) == (None, None)
    assert cleared["identityAwsTags"] is True
    with tenant.world.database.read() as tx:
        of = select(audit_events.c.detail).where(audit_events.c.action == "organization.policies_changed")
        details = tx.execute(of.order_by(audit_events.c.id)).scalars().all()
    assert details[0] == {
        "identity_subject": "organizationId, projectId, environmentId",
        "identity_prefixed_claims": "true",
        "identity_aws_tags": "true",
        "identity_aws_transitive_tags": "projectId",
    }
    assert details[2]["identity_subject"] == "none"


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        (["projectId"], "must begin with organizationId"),
        (["organizationId", "projectId", "projectId"], "must not name a claim twice"),
        (["organizationId", "projectName"], "identitySubject"),
        (["organizationId", "jti"], "identitySubject"),
        ([], "identitySubject"),
    ],
)
def test_what_is_no_template_is_refused(api: ManagementApi, tenant: Tenant, template: list[str], sentence: str):
    answer = api.answer("POST", f"/organizations/{tenant.id}/policies", {"identitySubject": template}, status=422)
    assert sentence in answer.text


def test_the_one_sub_is_told_only_where_there_is_one(api: ManagementApi, tenant: Tenant):
    path = f"/api-keys/oidc-sub?organizationId={tenant.id}"
    tenant.set_organization(oidc_sub="auth0|5f2b9a")
    assert api.answer("GET", path).text == "auth0|5f2b9a"
    tenant.set_organization(policies={"identity_subject": ["organizationId"]})
    assert api.answer("GET", path).text == str(tenant.id)
    tenant.set_organization(policies={"identity_subject": TEMPLATE})
    assert "more than one sub" in api.answer("GET", path, status=409).text


# --- the preview

ROLE = {"role_type": "jwt", "user_claim": "environmentId", "bound_audiences": [SHARED], "token_policies": ["read"]}


def role(**changes: Any) -> str:
    return json.dumps(ROLE | changes)


def asked(tenant: Tenant, environment: Environment, **body: Any) -> tuple[str, str, dict[str, Any]]:
    return "POST", f"/organizations/{tenant.id}/subject-preview", {"environmentId": str(environment.id), **body}


@pytest.fixture
def place(tenant: Tenant) -> tuple[Project, Environment, StoredCredential]:
    project, environment = tenant.somewhere_to_deploy()
    credential = tenant.credential()
    tenant.assign(credential, project)
    return project, environment, credential


@pytest.fixture
def shared(api: ManagementApi) -> str:
    """The shared audience of the application under test."""
    found: str = api.client.app.state.settings.audience  # type: ignore[attr-defined]
    return found


def test_a_preview_says_what_sub_is_and_would_be_and_changes_nothing(
    api: ManagementApi, tenant: Tenant, place: tuple[Project, Environment, StoredCredential]
):
    project, environment, credential = place
    found = api.call(*asked(tenant, environment, identitySubject=TEMPLATE, identityAwsTags=True))
    wanted = f"{tenant.id}:projectId:{project.id}:environmentId:{environment.id}"
    assert found["now"] == {"identitySubject": None, "sub": str(tenant.id)}
    assert found["proposed"] == {"identitySubject": TEMPLATE, "sub": wanted}
    assert (found["claims"]["sub"], found["claims"]["projectName"]) == (wanted, project.name)
    assert found["claims"][AWS_TAGS]["principal_tags"]["environmentId"] == [str(environment.id)]
    assert "credentialId" not in found["claims"]
    login = api.call(*asked(tenant, environment, identitySubject=TEMPLATE, credentialId=str(credential.id)))
    assert login["claims"]["credentialId"] == str(credential.id)
    assert api.call("GET", "/organizations")[0]["identitySubject"] is None


def test_a_preview_is_what_a_run_then_gets(api: ManagementApi, tenant: Tenant, passport: Passport, world: World):
    run = Run(tenant)
    body = {
        "identitySubject": [*TEMPLATE, "templateId", "credentialId"],
        "identityPrefixedClaims": True,
        "identityAwsTags": True,
    }
    job = api.call(*asked(tenant, run.environment, **body))
    login = api.call(*asked(tenant, run.environment, **body, credentialId=str(run.credential.id)))
    api.call("POST", f"/organizations/{tenant.id}/policies", body)
    for previewed, minted in zip((login, job), run.tokens(passport), strict=True):
        assert previewed["proposed"]["sub"] == minted["sub"]
        known = {name: value for name, value in previewed["claims"].items() if value != "differs from run to run"}
        same = {name: value for name, value in known.items() if name not in {AWS_TAGS, "iss", "aud"}}
        assert same.items() <= minted.items()
        assert set(minted) - {"iat", "nbf", "exp"} <= set(previewed["claims"])


def test_a_preview_says_which_roles_still_admit_and_why_others_do_not(
    api: ManagementApi, tenant: Tenant, place: tuple[Project, Environment, StoredCredential], shared: str
):
    project, environment, _ = place
    roles = {
        "by the old subject": role(bound_audiences=[shared], bound_subject=str(tenant.id)),
        "by the new one": role(bound_audiences=[shared], bound_subject=f"{tenant.id}:projectId:{project.id}"),
        "by id": role(bound_audiences=[shared], bound_claims={"projectId": str(project.id)}),
        "by project's name": role(bound_audiences=[shared], bound_claims={"projectName": project.name}),
        "by environment's name": role(bound_audiences=[shared], bound_claims={"environmentName": environment.name}),
        "by run": role(bound_audiences=[shared], bound_claims={"deploymentType": "deploy"}),
        "by credential": role(bound_audiences=[shared], bound_claims={"credentialId": str(new_id())}),
        "of another audience": role(bound_audiences=["https://elsewhere"]),
        "with an alias": role(bound_audiences=[shared], user_claim="sub"),
        "too large": role(bound_claims={str(number): "x" for number in range(200)}),
    }
    body = {
        "identitySubject": ["organizationId", "projectId"],
        "newEnvironmentName": environment.name.upper(),
        "roles": [{"name": name, "role": text} for name, text in roles.items()],
    }
    answer = api.call(*asked(tenant, environment, **body))
    found = {item["name"]: item for item in answer["roles"]}

    def says(name: str) -> list[bool | None]:
        after = found[name]["afterRename"]
        cases = (found[name]["now"], found[name]["proposed"], after["project"], after["environment"], after["template"])
        return [case["admits"] for case in cases]

    assert says("by the old subject") == [True, False, False, False, False]
    assert says("by the new one") == [False, True, True, True, True]
    assert says("by id") == [True] * 5
    assert says("by project's name") == [True, True, False, True, True]
    assert says("by environment's name") == [True, True, True, False, True]
    assert says("by run") == [None] * 5
    assert found["by run"]["now"]["dependsOn"] == ["deploymentType"]
    assert says("by credential") == says("of another audience") == [False] * 5
    assert says("too large") == [None] * 5
    assert "more than 100 entries" in found["too large"]["now"]["problem"]
    (reason,) = found["by the old subject"]["proposed"]["reasons"]
    assert reason == {
        "name": "subject",
        "expected": f'"{tenant.id}"',
        "received": f'"{tenant.id}:projectId:{project.id}"',
    }
    aliases = [found["with an alias"][case]["alias"] for case in ("now", "proposed")]
    assert aliases == [str(tenant.id), f"{tenant.id}:projectId:{project.id}"]
    assert found["with an alias"]["now"]["policies"] == ["default", "read"]


def test_a_preview_looks_at_the_roles_that_were_recorded(
    api: ManagementApi, tenant: Tenant, place: tuple[Project, Environment, StoredCredential], shared: str
):
    _, environment, credential = place
    recorded = {"roleName": "deploy", "mount": "jwt", "config": "{}"}
    bound = role(bound_audiences=[shared], bound_claims={"credentialId": str(credential.id)})
    api.answer("PUT", f"/credentials/{credential.id}/recorded-role", {**recorded, "role": bound}, status=204)
    (found,) = api.call(*asked(tenant, environment, credentialId=str(credential.id)))["roles"]
    assert (found["name"], found["isRecorded"], found["now"]["admits"]) == ("jwt/deploy", True, True)
    (found,) = api.call(*asked(tenant, environment))["roles"]
    assert found["now"]["admits"] is False


def test_a_preview_is_for_those_who_may_change_policies_and_of_ones_own_things(
    api: ManagementApi, tenant: Tenant, world: World, place: tuple[Project, Environment, StoredCredential]
):
    _, environment, credential = place
    stranger = world.tenant("stranger")
    _, foreign = stranger.somewhere_to_deploy()
    unknown = stranger.credential()
    api.answer(*asked(tenant, foreign), status=404)
    api.answer(*asked(stranger, environment), status=404)
    api.answer("POST", f"/organizations/{tenant.id}/subject-preview", {"environmentId": str(new_id())}, status=404)
    for wrong in (unknown.id, new_id(), tenant.credential(name="not assigned").id):
        answer = api.answer(*asked(tenant, environment, credentialId=str(wrong)), status=422)
        assert [item["field"] for item in answer.json()["errors"]] == ["credentialId"]
    api.of(tenant, {}).answer(*asked(tenant, environment, credentialId=str(credential.id)), status=403)


def test_an_environment_without_a_template_has_no_runs_to_preview(api: ManagementApi, tenant: Tenant):
    project = tenant.project()
    environment = tenant.environment(project, None)
    answer = api.answer(*asked(tenant, environment), status=422)
    assert "has no template yet" in answer.text


def test_a_preview_of_a_stored_template_that_is_none_says_so(
    api: ManagementApi, tenant: Tenant, place: tuple[Project, Environment, StoredCredential]
):
    with tenant.world.database.write() as tx:
        tx.execute(update(organizations).values(policies={"identity_subject": ["organizationId", "organizationId"]}))
    assert "claim twice" in api.answer(*asked(tenant, place[1]), status=422).text
