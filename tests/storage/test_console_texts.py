"""Texts that no database can hold, in whatever a page is asked and in each field of its forms: never a crash."""

from urllib.parse import quote

from console import OURS, Browser, console
from factories import Tenant, World

NUL = "a\x00b"
QUERIES = ("offset", "name", "status", "kind", "type", "project", "parent", "projectId", "environmentId", "overrides")
QUERIES_OF_LOGS = ("find", "step", "line", "before", "after")
QUERIES_OF_THE_TRAIL = ("action", "actor", "subjectId", "from", "to", "before")


def pages_of(tenant: Tenant) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    """Give paths with the names of what may be asked there; and of forms with their fields."""
    project, environment = tenant.somewhere_to_deploy()
    deployment, template = tenant.queue(environment), tenant.template(project, name="other")
    credential = tenant.credential(name="v")
    tenant.assign(credential, project)
    below, here = f"/console/organizations/{tenant.id}", f"/console/projects/{project.id}"
    lists = (
        *(f"{below}/{name}" for name in ("projects", "credentials", "credentials/new", "templates", "templates/new")),
        *(f"{below}/{name}" for name in ("variables", "policies", "outstanding", "runners")),
        *(here, f"{here}/environments", f"{here}/credentials", f"{here}/variables"),
        *(f"/console/credentials/{credential.id}/tests", f"/console/templates/{template.id}"),
        f"/console/environments/{environment.id}/deployments",
    )
    asked = dict.fromkeys(lists, QUERIES)
    asked |= {f"/console/deployments/{deployment.id}": (*QUERIES_OF_LOGS, "line=1&step")}
    asked |= dict.fromkeys((f"{below}/audit", f"{below}/audit/events.jsonl"), QUERIES_OF_THE_TRAIL)
    sent = {
        f"{below}/projects": ("name", "description", "parentProjectId"),
        f"{below}/relying-parties": ("name", "audiences"),
        f"{below}/runners/join-tokens": ("pool", "uses", "hours"),
        f"{below}/people": ("signInName", "displayName", "organizationRole", "projectId"),
        f"{below}/api-keys": ("name", "organizationRole", "projectId"),
        f"{below}/policies": ("identitySubject", "maxTtl", "defaultTtl", "allowedIdentityAudiences", "seen"),
        f"{here}/environments/new": ("name", "blueprintId", "ttlType", "ttlValue", "configurationChanges", "once"),
        f"{here}/credentials": ("credentialId", "otherId"),
        f"/console/environments/{environment.id}/deploy": ("comment", "targets", "runnerPool", "blueprintRevision"),
        f"/console/environments/{environment.id}/lifespan": ("ttlType", "ttlValue", "seen"),
        f"/console/credentials/{credential.id}/tests": ("projectId", "pool", "paths"),
        f"{here}/variables": ("name", "value", "type", "regex", "enum", "description"),
    }
    return asked, sent


def test_a_nul_in_what_a_page_is_asked_is_no_crash(world: World, tenant: Tenant):
    asked, sent = pages_of(tenant)
    with console(world) as client:
        browser = Browser(client)
        browser.sign_in((tenant.api_key.api_key_id, tenant.api_secret.reveal()))
        for path, names in asked.items():
            for name in names:
                answer = browser.get(f"{path}?{name}={quote(NUL)}")
                assert answer.status_code in {200, 404, 422}, (path, name)
        token = browser.form()
        for path, names in sent.items():
            for name in names:
                fields = {"name": "n", "type": "0", "pool": "default", "organizationRole": "User"}
                answer = browser.post(path, {**fields, **token, name: NUL}, OURS)
                assert answer.status_code < 500, (path, name)
