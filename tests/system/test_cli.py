"""Every client command against a real server: what is made is found again, what is wrong is said well."""

import json
import re
import stat
from uuid import UUID, uuid4

import pytest

from fake_servers import answering, certificates, http
from programs import run_cli
from runpass.cli import exits


@pytest.fixture(scope="module")
def admin(shell):
    return shell.admin


@pytest.fixture
def named(unique):
    return unique


@pytest.fixture
def environment(made, named):
    """An environment with all it needs; gives the names."""
    project, template, name = named("web"), named("hello"), named("production")
    made("project", "create", "--name", project)
    made("template", "create", "--name", template, "--command", "echo hello", "--attach", project)
    made("environment", "create", "--name", name, "--project", project, "--template", template)
    return {"project": project, "template": template, "environment": name}


def test_the_organization_is_shown_and_its_policies_change_one_by_one(run, listed, admin):
    assert listed("organization", "show")["id"] == admin.organization_id
    changed = listed("organization", "policy", "--enable-oidc")
    assert (changed["enableOidc"], changed["allowClearTextVault"]) == (True, False)
    assert listed("organization", "policy", "--allow-clear-text-vault")["enableOidc"] is True
    changed = listed("organization", "policy", "--no-enable-oidc", "--no-allow-clear-text-vault")
    assert (changed["enableOidc"], changed["allowClearTextVault"]) == (False, False)
    changed = listed("organization", "policy", "--max-ttl", "1-w", "--default-ttl", "1-d", "--requires-approval")
    assert (changed["maxTtl"], changed["defaultTtl"], changed["requiresApproval"]) == ("1-w", "1-d", True)
    changed = listed("organization", "policy", "--max-ttl", "none", "--default-ttl", "none", "--no-requires-approval")
    assert (changed["maxTtl"], changed["defaultTtl"], changed["requiresApproval"]) == (None, None, False)
    assert "acme" in run("organization", "show").stdout
    assert "which policy" in run("organization", "policy", code=exits.USAGE).stderr


def test_what_tokens_say_is_decided_and_sub_is_previewed(run, listed, admin, environment, tmp_path):
    project = next(item["id"] for item in listed("project", "list") if item["name"] == environment["project"])
    organization, name = admin.organization_id, environment["environment"]
    by_name, old, not_json = (tmp_path / f"{name}.json" for name in ("by-name", "old", "broken"))
    common = {
        "user_claim": "sub",
        "bound_audiences": [listed("organization", "subject", "preview", "--environment", name)["claims"]["aud"]],
    }
    by_name.write_text(json.dumps(common | {"bound_claims": {"environmentName": name}}))
    old.write_text(json.dumps({"request_id": "x", "data": common | {"bound_subject": organization}}))
    not_json.write_text("{")
    preview = ("organization", "subject", "preview", "--environment", name, "--project", environment["project"])
    roles = ("--role", str(by_name), "--role", str(old))
    template = ("--template", "organizationId,projectId")

    same = run(*preview, *roles).stdout
    assert f"sub now       {organization}\nsub proposed  {organization}\n" in same
    assert re.search(r"by-name +admits +admits +admits +refuses +admits", same)
    changed = run(*preview, *template, *roles, code=exits.FOUND).stdout
    assert f"sub proposed  {organization}:projectId:{project}\n" in changed
    assert re.search(r"old +admits +refuses +refuses +refuses +refuses", changed)
    assert f'old, proposed: subject: expected "{organization}", received "{organization}:projectId:' in changed
    assert "by-name, proposed: another entity at the Vault" in changed
    kept = listed(*preview, *template, "--role", str(by_name), "--new-environment-name", name)
    assert kept["roles"][0]["afterRename"]["environment"]["admits"] is True

    wanted = ("--subject", "organizationId, projectId", "--prefixed-claims", "--aws-tags", "--aws-transitive-tag")
    decided = listed("organization", "policy", *wanted, "projectId")
    assert decided["identitySubject"] == ["organizationId", "projectId"]
    assert (decided["identityPrefixedClaims"], decided["identityAwsTags"]) == (True, True)
    assert decided["identityAwsTransitiveTags"] == ["projectId"]
    assert "organizationId, projectId" in run("organization", "show").stdout
    assert listed(*preview)["now"]["sub"] == f"{organization}:projectId:{project}"
    taken_back = ("--subject", "none", "--no-prefixed-claims", "--no-aws-tags", "--aws-transitive-tag", "none")
    assert listed("organization", "policy", *taken_back)["identitySubject"] is None
    assert "must begin" in run("organization", "policy", "--subject", "projectId", code=exits.USAGE).stderr
    assert "line 1" in run(*preview, "--role", str(not_json), code=exits.USAGE).stderr
    not_json.write_text("null")
    assert "holds no role" in run(*preview, "--role", str(not_json), code=exits.USAGE).stderr


def test_projects_are_made_below_one_another_listed_and_deleted(run, made, listed, named):
    parent, child = named("parent"), named("child")
    parent_id = made("project", "create", "--name", parent)
    child_id = made("project", "create", "--name", child, "--parent", parent, "--description", "below")
    found = {item["id"]: item for item in listed("project", "list")}
    assert found[child_id]["hierarchy"] == f"{parent_id}|{child_id}"
    line = next(line for line in run("project", "list").stdout.splitlines() if child_id in line)
    assert line.split()[:3] == [child, child_id, parent]
    assert run("project", "delete", parent, code=exits.CONFLICT).stderr.startswith("error: ")
    run("project", "delete", child_id)
    run("project", "delete", parent)
    assert parent_id not in {item["id"] for item in listed("project", "list")}


def test_a_project_is_moved_archived_and_taken_back(run, made, listed, named):
    first, second, below = named("first"), named("second"), named("below")
    ids = {name: made("project", "create", "--name", name) for name in (first, second)}
    ids[below] = made("project", "create", "--name", below, "--parent", first)
    moved = listed("project", "move", below, "--to", second)
    assert moved["hierarchy"] == f"{ids[second]}|{ids[below]}"
    assert listed("project", "move", below, "--to-root")["parentProjectId"] is None
    assert "say where to" in run("project", "move", below, code=exits.USAGE).stderr
    run("project", "archive", second)
    assert {item["id"]: item["isArchived"] for item in listed("project", "list")}[ids[second]] is True
    assert "archived" in run("project", "move", below, "--to", second, code=exits.CONFLICT).stderr
    run("project", "unarchive", second)
    assert listed("project", "move", below, "--to", second)["parentProjectId"] == ids[second]


def test_credentials_are_made_assigned_changed_and_deleted(run, made, listed, named):
    first, second, name = named("web"), named("api"), named("vault")
    for project in (first, second):
        made("project", "create", "--name", project)
    value = ("--address", "https://vault.example.com:8200", "--version", "1.18.0", "--role", "deploy")
    credential = made("credential", "create", "--name", name, *value, "--path", "team/jwt", "--assign", first)
    assert [item["id"] for item in listed("credential", "list", "--project", first)] == [credential]
    run("credential", "assign", name, second)
    assert listed("credential", "assign", credential, second)["credentialId"] == credential
    assert [item["id"] for item in listed("credential", "list", "--project", second)] == [credential]
    run("credential", "unassign", name, second)
    assert listed("credential", "list", "--project", second) == []
    assert made("credential", "update", name, *value, "--namespace", "team-a") == credential
    scoped = made("credential", "create", "--name", named("own"), *value, "--project", first)
    scopes = {item["id"]: item["projectId"] for item in listed("credential", "list")}
    assert scopes[credential] is None
    assert UUID(scopes[scoped])
    shown = run("credential", "list").stdout
    assert f"project {first}" in shown
    assert "vault.example.com" not in shown
    run("credential", "delete", name)
    run("credential", "delete", scoped)


def test_templates_are_made_attached_detached_and_deleted(run, made, listed, named):
    project, name = named("web"), named("hello")
    project_id = made("project", "create", "--name", project)
    template = made("template", "create", "--name", name, "--command", "echo one", "--command", "echo two")
    assert listed("template", "attach", name, project)["projectIds"] == [project_id]
    assert next(item for item in listed("template", "list") if item["id"] == template)["commands"] == [
        "echo one",
        "echo two",
    ]
    assert name in run("template", "list").stdout
    run("template", "detach", template, project)
    run("template", "delete", name)
    assert template not in {item["id"] for item in listed("template", "list")}


def test_a_template_has_its_code_in_a_repository(run, made, listed, named):
    name, where = named("code"), "https://git.example.com/team/code.git"
    code = ("--type", "opentofu", "--repository", where, "--revision", "v1", "--path", "/infra")
    template = made("template", "create", "--name", name, *code)
    found = next(item for item in listed("template", "list") if item["id"] == template)
    assert [found[field] for field in ("type", "repository", "revision", "path")] == ["opentofu", where, "v1", "infra"]
    assert f"{where} infra" in run("template", "list").stdout
    assert "repository: is required" in run("template", "create", "--name", name, "--type", "helm", code=2).output


def test_a_variable_may_be_required_read_only_and_of_a_form(run, listed, named):
    name = named("form").upper().replace("-", "_")
    made = listed("variable", "set", name, "--value", "ab", "--read-only", "--required", "--regex", "[ab]+")
    assert [made[field] for field in ("isReadonly", "isRequired", "regex")] == [True, True, "[ab]+"]
    assert "environment, read-only, required" in run("variable", "list").stdout
    assert (
        "must match the whole regex" in run("variable", "set", name, "--value", "c", "--regex", "[ab]+", code=2).output
    )
    run("variable", "delete", name)


def test_environments_are_made_shown_and_found_in_their_project(run, listed, environment):
    shown = listed("environment", "show", environment["environment"])
    assert shown["status"] == "CREATED"
    assert shown["latestDeploymentLog"]["status"] == "NEVER_DEPLOYED"
    assert listed("environment", "show", shown["id"], "--project", environment["project"]) == shown
    assert [item["id"] for item in listed("environment", "list", "--project", environment["project"])] == [shown["id"]]
    assert shown["id"] in {item["id"] for item in listed("environment", "list")}
    assert environment["project"] in run("environment", "list").stdout
    assert shown["workspaceName"] in run("environment", "show", shown["id"]).stdout


def test_an_ambiguous_name_lists_the_ids_and_the_project_decides(run, made, listed, named):
    name, template = named("twin"), named("hello")
    made("template", "create", "--name", template, "--command", "true")
    twins = []
    for project in (named("one"), named("two")):
        made("project", "create", "--name", project)
        run("template", "attach", template, project)
        twins.append(made("environment", "create", "--name", name, "--project", project, "--template", template))
    refused = run("environment", "show", name, code=exits.USAGE)
    assert all(twin in refused.stderr for twin in twins)
    assert listed("environment", "show", name, "--project", project)["id"] == twins[1]


def test_variables_are_set_at_each_place_inherited_and_deleted(run, made, listed, environment, named):
    name = named("setting").upper().replace("-", "_")
    places = {
        "GLOBAL": (),
        "BLUEPRINT": ("--template", environment["template"]),
        "PROJECT": ("--project", environment["project"]),
        "ENVIRONMENT": ("--environment", environment["environment"]),
    }
    for scope, place in places.items():
        assert UUID(made("variable", "set", name, "--value", scope, *place))
    found = [item for item in listed("variable", "list", *places["ENVIRONMENT"]) if item["name"] == name]
    assert [item["value"] for item in found] == list(places)
    for place in places.values():
        run("variable", "delete", name, *place)
    assert name not in run("variable", "list", *places["ENVIRONMENT"]).stdout
    run("variable", "delete", name, code=exits.NOT_FOUND)


def test_a_sensitive_value_comes_from_standard_input_or_a_file_and_is_never_shown(
    run, made, listed, environment, tmp_path
):
    place = ("--environment", environment["environment"])
    file = tmp_path / "value"
    file.write_text("canary-from-file\n")
    made("variable", "set", "FROM_STDIN", "--sensitive", *place, stdin="canary-from-stdin\n")
    made("variable", "set", "FROM_FILE", "--sensitive", "--value-file", str(file), *place)
    made("variable", "set", "PLAIN", *place, stdin="seen")
    values = {item["name"]: item["value"] for item in listed("variable", "list", *place)}
    assert values["PLAIN"] == "seen"
    assert set(values["FROM_STDIN"] + values["FROM_FILE"]) == {"*"}
    assert "canary" not in run("variable", "list", *place).output


def test_deployments_are_queued_listed_shown_and_cancelled(run, made, listed, environment):
    name = environment["environment"]
    first = made("deployment", "start", name, "--comment", "because")
    second = json.loads(run("deployment", "start", name, "--project", environment["project"], "--json").stdout)
    assert [item["id"] for item in listed("deployment", "list", name)] == [second["id"], first]
    assert len(listed("deployment", "list", name, "--limit", "1")) == 1
    assert listed("deployment", "show", first)["comment"] == "because"
    assert "QUEUED" in run("deployment", "list", name).stdout
    assert run("deployment", "cancel", first).stdout == "CANCELLED\n"
    assert "QUEUED cannot abort" in run("deployment", "abort", second["id"], code=exits.CONFLICT).stderr
    run("deployment", "cancel", second["id"])
    shown = run("deployment", "wait", first, code=exits.NOT_SUCCESSFUL).stdout
    assert re.search(r"Status +CANCELLED", shown)
    assert run("deployment", "log", first).stdout == ""
    assert listed("deployment", "log", first) == []
    assert "no name" in run("deployment", "show", name, code=exits.USAGE).stderr
    run("deployment", "show", str(uuid4()), code=exits.NOT_FOUND)


def test_an_environment_can_be_deployed_at_once(made, listed, environment, named, run):
    name = named("staging")
    where = ("--project", environment["project"], "--template", environment["template"])
    made("environment", "create", "--name", name, *where, "--deploy")
    latest = listed("environment", "show", name)["latestDeploymentLog"]
    assert latest["status"] == "QUEUED"
    run("deployment", "cancel", latest["id"])


def test_a_join_token_goes_to_standard_output_alone_or_to_a_closed_file(run, tmp_path):
    printed = run("join-token", "create", "--pool", "gpu", "--uses", "3", "--lifetime", "60")
    assert re.fullmatch(r"rpj_\S{40,}\n", printed.stdout)
    assert "good until" in printed.stderr
    answer = json.loads(run("join-token", "create", "--json").stdout)
    assert answer["pool"] == "default"
    file = tmp_path / "join-token"
    written = run("join-token", "create", "--output", str(file))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().strip() not in written.output
    run("join-token", "create", "--output", str(file), code=exits.CONFLICT)


def test_a_runner_that_is_not_there_cannot_be_revoked(run, listed):
    assert listed("runners", "list") == []  # this organization has none
    assert "runpass runners list" in run("runners", "revoke", "nobody", code=exits.NOT_FOUND).stderr
    run("runners", "revoke", str(uuid4()), code=exits.NOT_FOUND)


def test_an_api_key_is_made_into_a_file_that_works_and_stops_working_when_deleted(run, listed, made, named, tmp_path):
    project, name, file = named("web"), named("ci"), tmp_path / "key.json"
    made("project", "create", "--name", project)
    written = run("api-key", "create", "--name", name, "--project-role", f"{project}=Deployer", "--output", str(file))
    key = json.loads(file.read_text())
    assert key["apiKeySecret"] not in written.output
    assert [item["name"] for item in json.loads(run("project", "list", "--json", api_key_file=file).stdout)] == [
        project
    ]
    refused = run("project", "create", "--name", "x", api_key_file=file, code=exits.NOT_ALLOWED)
    assert "CREATE_PROJECT" in refused.stderr
    assert name in run("api-key", "list").stdout
    assert next(item for item in listed("api-key", "list") if item["name"] == name)["organizationRole"] == "User"
    run("api-key", "delete", key["apiKeyId"])
    run("project", "list", api_key_file=file, code=exits.NOT_ALLOWED)
    printed = run("api-key", "create", "--name", name, "--role", "Admin").stdout
    assert re.search(r"Secret +rps_\S{40,}", printed)
    run("api-key", "delete", name)
    assert "PROJECT=ROLE" in run("api-key", "create", "--name", "x", "--project-role", "web", code=exits.USAGE).stderr


def test_all_bad_fields_are_named_and_no_value_is_repeated(run):
    value = ("--address", "not-a-url canary-one", "--role", "a/b canary-two", "--path", "../canary-three")
    refused = run("credential", "create", "--name", "x", *value, code=exits.USAGE)
    assert all(f"value.{field}" in refused.stderr for field in ("address", "roleName", "jwtAuthBackendPath"))
    assert "canary" not in refused.output
    assert refused.stdout == ""


def test_reserved_variable_names_are_refused_with_the_field(run):
    assert "name: " in run("variable", "set", "PATH", "--value", "x", code=exits.USAGE).stderr


def test_a_wrong_secret_is_refused_without_being_shown(run, admin):
    refused = run("project", "list", api_key_id=admin.api_key_id, api_key_secret="canary", code=exits.NOT_ALLOWED)
    assert "canary" not in refused.output


def test_a_key_file_that_others_can_read_is_refused(run, admin, tmp_path):
    file = tmp_path / "key.json"
    file.write_text(admin.key_file.read_text())
    file.chmod(0o644)
    assert "open to others (mode 0644)" in run("project", "list", api_key_file=file, code=exits.USAGE).stderr


def test_another_organization_is_not_there(run):
    run("organization", "show", organization_id=uuid4(), code=exits.NOT_FOUND)
    run("project", "list", organization_id=uuid4(), code=exits.NOT_FOUND)


def test_the_key_works_without_naming_the_organization(run, admin):
    result = run("project", "list", api_key_file="", api_key_id=admin.api_key_id, api_key_secret=admin.api_key_secret)
    assert result.exit_code == 0


def test_a_server_that_is_not_there_is_a_sentence(run):
    refused = run("project", "list", url="http://127.0.0.1:9", code=exits.NOT_REACHED)
    assert refused.stderr.startswith("error: the server cannot be reached at http://127.0.0.1:9\nhint: ")


def test_a_server_that_is_something_else_is_a_sentence(run):
    for answer in (http(200, "<html>", "Content-Type: text/html"), http(200, '["x"]'), http(200, '{"a": 1}')):
        with answering(answer) as other:
            refused = run("project", "list", url=other.address, organization_id=uuid4(), code=exits.NOT_REACHED)
        assert "not one of a runpass server" in refused.stderr


def test_a_redirect_is_not_followed_with_the_key(run):
    with answering(http(200, "[]")) as target, answering(http(302, "", f"Location: {target.address}")) as other:
        run("project", "list", url=other.address, organization_id=uuid4(), code=exits.NOT_REACHED)
    assert len(other.requests) == 1
    assert target.requests == []


def test_a_server_cannot_write_to_the_terminal(run):
    thing = {"id": "1", "name": "\x1b]0;title\x07\x1b[2Jweb", "parentProjectId": None, "createdAt": "\u202e"}
    with answering(http(200, json.dumps([thing]))) as other:
        table, printed = run("project", "list", url=other.address), run("project", "list", "--json", url=other.address)
    envelope = '{"message": "\\u001b[2Jno", "code": "not_found", "hint": "a\\rb"}'
    with answering(http(404, envelope)) as other:
        refused = run("project", "list", url=other.address, code=exits.NOT_FOUND)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", table.output + printed.output + refused.output)
    assert "\\x1b[2Jweb" in table.stdout
    assert refused.stderr == "error: \\x1b[2Jno\nhint: a\\rb\n"


def test_a_certificate_must_be_trusted_before_the_key_is_sent(run, tmp_path):
    authority, tls = certificates(tmp_path)
    with answering(http(200, "[]"), tls=tls) as other:
        url = other.address.replace("http:", "https:")
        refused = run("project", "list", url=url, code=exits.NOT_REACHED)
        assert "RUNPASS_CA_BUNDLE" in refused.stderr
        assert other.requests == []
        assert run("project", "list", "--json", url=url, ca_bundle=authority).stdout == "[]\n"
        assert b"authorization: basic " in other.requests[0].lower()
    unreadable = run("project", "list", url=url, ca_bundle=tmp_path / "absent", code=exits.USAGE)
    assert "CA bundle" in unreadable.stderr


def test_settings_show_where_they_come_from_and_no_secret(run, admin):
    shown = run("settings", "show", api_key_secret="canary-secret", master_key="ca" * 32, join_token="canary-token")
    assert "canary" not in shown.output
    assert "caca" not in shown.output
    assert re.search(r"client +api_key_secret +\[secret\] +environment", shown.stdout)
    assert re.search(rf"client +api_key_file +{re.escape(str(admin.key_file))} +environment", shown.stdout)


def test_a_real_process_prints_one_error_line_and_the_exit_code(cli_server, admin):
    done = cli_server.cli("project", "delete", "nothing", admin=admin, check=False)
    assert (done.returncode, done.stdout) == (exits.NOT_FOUND, "")
    assert done.stderr == "error: there is no project of this name\nhint: runpass project list\n"
    assert run_cli("no-such-command", check=False).returncode == exits.USAGE
