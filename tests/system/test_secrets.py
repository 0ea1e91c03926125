"""Secrets in every form, read by real runs from a real OpenBao: whole, as files, made with parameters, from several."""

from hashlib import sha256

import pytest

from scene import NOT_RUN, PASSWORD, Project, Scene


@pytest.fixture(scope="module")
def project(scene: Scene) -> Project:
    return scene.guided()


def holds(text: str) -> str:
    """Give a command that is true if this is the password; the password itself must stand in no template."""
    return f'test "$(printf %s "{text}" | sha256sum | cut -c1-64)" = {sha256(PASSWORD.encode()).hexdigest()}'


def allow(scene: Scene, project: Project, rules: str) -> None:
    """Let the project's role do more."""
    with scene.operator() as operator:
        policy = operator.read(f"sys/policies/acl/{project.role}").data["policy"]
        operator.write(f"sys/policies/acl/{project.role}", {"policy": f"{policy}\n{rules}"})


def second(scene: Scene, project: Project, **value: object) -> tuple[str, str]:
    """Give the project another credential, for the same Vault and role; its id and name."""
    name = scene.unique("second")
    credential = scene.credential(scene.openbao.address, name, project.mount, **value)
    scene.api.assign(credential, project.id)
    with scene.operator() as operator:
        role = operator.read(f"auth/{project.mount}/role/{project.role}").data
        bound = {**role["bound_claims"], "credentialId": credential}
        operator.write(f"auth/{project.mount}/role/{name}", {**role, "bound_claims": bound})
    return credential, name


def test_a_whole_secret_is_one_variable_for_each_key(scene: Scene, project: Project):
    with scene.operator() as operator:
        operator.write(f"{project.kv}/data/db", {"data": {"user-name": "postgres-owner", "port": 5432}})
    deployment, log = scene.deploy(
        project.id,
        'test "$DB_USER_NAME" = postgres-owner && test "$DB_PORT" = 5432 && test -z "${DB+set}"; echo "$DB_USER_NAME"',
        DB=f"${{vault:{project.kv}/db.*}}",
    )
    assert deployment["status"] == "SUCCESS", log
    assert "postgres-owner" not in log


def test_a_file_belongs_to_the_run_alone_and_is_gone_with_it(scene: Scene, project: Project):
    deployment, log = scene.deploy(
        project.id,
        f'{holds("$(cat $KEY)")}; stat -c "%a %u" "$KEY"; id -u; cat "$KEY"; echo; echo "at $KEY"',
        KEY=f"${{vault-file:{project.kv}/app.password}}",
    )
    assert deployment["status"] == "SUCCESS", log
    lines = [line.strip() for line in log.splitlines()]
    mode_and_owner = next(line for line in lines if line.startswith("600 "))
    assert mode_and_owner.split()[1] in lines  # the run's own user
    assert "***" in lines
    path = next(line.removeprefix("at ") for line in lines if line.startswith("at /"))
    assert not scene.stage.root.joinpath(path).exists()


def test_what_is_made_with_parameters_belongs_together(scene: Scene, project: Project):
    mount = scene.unique("pki")
    with scene.operator() as operator:
        operator.write(f"sys/mounts/{mount}", {"type": "pki"})
        operator.write(f"{mount}/root/generate/internal", {"common_name": "test"})
        operator.write(f"{mount}/roles/web", {"allow_any_name": True})
    wanted = {
        "CERTIFICATE": f"${{vault-file:{mount}/issue/web.certificate?common_name=a.example.com&ttl=1h}}",
        "KEY": f"${{vault-file:{mount}/issue/web.private_key?common_name=a.example.com&ttl=1h}}",
    }
    deployment, log = scene.deploy(project.id, NOT_RUN, **wanted)
    assert deployment["refusal"]["code"] == "secrets_unavailable"
    assert "must-not-run" not in log
    allow(scene, project, f'path "{mount}/issue/web" {{ capabilities = ["update"] }}')
    deployment, log = scene.deploy(
        project.id,
        'openssl x509 -in "$CERTIFICATE" -noout -pubkey > a',
        'openssl pkey -in "$KEY" -pubout > b; cmp a b && echo one pair',
        **wanted,
    )
    assert "one pair" in log, log


def test_two_credentials_are_told_apart_by_name(scene: Scene):
    project = scene.guided()
    _, name = second(scene, project)
    reference = f"{project.kv}/app.password"
    deployment, log = scene.deploy(project.id, NOT_RUN, A=f"${{vault:{reference}}}")
    assert deployment["refusal"]["code"] == "ambiguous_credential"
    assert name in deployment["refusal"]["reason"]
    assert project.role in deployment["refusal"]["reason"]
    deployment, log = scene.deploy(
        project.id,
        f'{holds("$A")} && {holds("$B")} && test -z "${{VAULT_TOKEN+set}}"',
        A=f"${{vault[{name}]:{reference}}}",
        B=f"${{vault[{project.role}]:{reference}}}",
    )
    assert deployment["status"] == "SUCCESS", log
    assert "more than one credential exports its token" in log
    deployment, _ = scene.deploy(project.id, NOT_RUN, A=f"${{vault[nobody]:{reference}}}")
    assert deployment["refusal"]["code"] == "unknown_credential"
    assert scene.tokens(project.mount) == []


def test_everything_that_fails_is_told_at_once(scene: Scene):
    project = scene.guided()
    _, name = second(scene, project, namespace="nowhere")
    deployment, log = scene.deploy(
        project.id,
        NOT_RUN,
        A=f"${{vault[{name}]:{project.kv}/app.password}}",
        B=f"${{vault[{project.role}]:{project.kv}/missing.password}}",
        C=f"${{vault[{project.role}]:{project.kv}/app.missing}}",
    )
    reason = deployment["refusal"]["reason"]
    assert "no namespace nowhere" in reason
    assert f"{project.kv}/missing.password" in reason
    assert f"{project.kv}/app.missing" in reason
    assert "must-not-run" not in log
    assert scene.tokens(project.mount) == []


def test_inline_authentication_reads_without_any_token(scene: Scene):
    project = scene.guided()
    value = {"address": scene.openbao.address, "version": "2.7.2", "roleName": project.role}
    value |= {"jwtAuthBackendPath": project.mount, "inlineAuth": True, "exportToken": False}
    body = {"type": "VAULT_OIDC", "value": value, "organizationId": scene.api.organization_id}
    scene.api.call("PATCH", f"/credentials/{project.credential}", body)
    with scene.operator() as operator:
        before = set(operator.list("auth/token/accessors").data["keys"])
    deployment, log = scene.deploy(
        project.id,
        f'{holds("$A")} && test -z "${{VAULT_TOKEN+set}}" && ! bao token lookup > /dev/null 2>&1',
        A=project.reference,
    )
    assert deployment["status"] == "SUCCESS", log
    assert "without a Vault token" in log
    with scene.operator() as operator:
        assert set(operator.list("auth/token/accessors").data["keys"]) <= before
    deployment, _ = scene.deploy(scene.api.project(scene.unique("none")), NOT_RUN, A=project.reference)
    assert deployment["refusal"]["code"] == "no_credential"


def test_a_refused_inline_login_is_explained(scene: Scene):
    project = scene.guided()
    other = scene.api.project(scene.unique("other"))
    credential = scene.credential(
        scene.openbao.address, project.role, project.mount, inlineAuth=True, exportToken=False
    )
    scene.api.assign(credential, other)
    deployment, log = scene.deploy(other, NOT_RUN, A=project.reference)
    assert deployment["refusal"]["code"] == "bound_claim", deployment["refusal"]
    assert "must-not-run" not in log


def test_commands_pass_variables_on(scene: Scene, project: Project):
    deployment, log = scene.deploy(
        project.id,
        "echo \"GREETING='hello there'\" >> $ENV0_ENV; echo COUNT=1 >> $ENV0_ENV",
        'echo "$GREETING $COUNT"; echo COUNT=2 >> $ENV0_ENV',
        'echo "now $COUNT"',
    )
    assert deployment["status"] == "SUCCESS", log
    assert "hello there 1" in log
    assert "now 2" in log


@pytest.mark.parametrize("name", ["LD_PRELOAD", "PATH", "VAULT_ADDR", "ENV0_OIDC_TOKEN", "https_proxy", "PYTHONPATH"])
def test_reserved_names_are_not_passed_on(scene: Scene, project: Project, name: str):
    deployment, log = scene.deploy(project.id, f"echo {name}=/tmp/evil >> $ENV0_ENV", NOT_RUN)
    assert deployment["status"] == "FAILURE"
    assert f"reserved and cannot be passed on: {name}" in log
    assert "must-not-run" not in log


def test_a_name_that_the_run_gets_from_us_is_refused(scene: Scene):
    project = scene.guided()
    value = {"address": scene.openbao.address, "version": "2", "roleName": project.role, "skipChildToken": True}
    value |= {"jwtAuthBackendPath": project.mount}
    body = {"type": "VAULT_OIDC", "value": value, "organizationId": scene.api.organization_id}
    scene.api.call("PATCH", f"/credentials/{project.credential}", body)
    deployment, log = scene.deploy(project.id, NOT_RUN, TERRAFORM_VAULT_SKIP_CHILD_TOKEN="false")
    assert deployment["status"] == "FAILURE"
    assert "set by runpass itself: TERRAFORM_VAULT_SKIP_CHILD_TOKEN" in log
    assert scene.tokens(project.mount) == []
