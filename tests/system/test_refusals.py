"""Every way in which a run does not get its secrets: the step, our sentence, Vault's words, and no command run."""

import re
from pathlib import Path

import pytest

from fake_servers import answering, certificates, http
from runpass.local.openbao import DevOpenBao, free_port
from scene import NOT_RUN, Scene

STEP = "setup-oidc-vault"


def refused(scene: Scene, project: str, **variables: str) -> tuple[dict, str]:
    deployment, log = scene.deploy(project, NOT_RUN, **variables)
    assert deployment["status"] == "FAILURE", log
    assert deployment["failedStep"] == STEP
    assert "this-must-not-run" not in log
    refusal = deployment["refusal"]
    assert refusal["reason"] in log
    assert refusal["reason"]
    if refusal["vaultError"]:
        assert refusal["vaultError"] in log
    return refusal, log


def test_a_reference_without_a_credential_names_the_project(scene: Scene):
    name = scene.unique("bare")
    refusal, _ = refused(scene, scene.api.project(name), DB_PASSWORD="${vault:secret/app.password}")
    assert refusal["code"] == "no_credential"
    assert name in refusal["reason"]
    assert "DB_PASSWORD" in refusal["reason"]
    assert refusal["vaultError"] is None


def test_an_unknown_role_is_named(scene: Scene):
    project = scene.guided()
    elsewhere = scene.with_vault_at(scene.openbao.address, role="nobody", mount=project.mount)
    refusal, _ = refused(scene, elsewhere)
    assert refusal["vaultError"] == 'role "nobody" could not be found'


def test_another_organization_is_refused_at_our_role(scene: Scene):
    project = scene.guided()
    elsewhere = scene.other.project(scene.unique("web"))
    credential = scene.credential(scene.openbao.address, project.role, project.mount, api=scene.other)
    scene.other.assign(credential, elsewhere)
    deployment, log = scene.deploy(elsewhere, NOT_RUN, api=scene.other)
    assert deployment["status"] == "FAILURE"
    assert re.search(r"claim \"(organizationId|projectId|credentialId)\" does not match", log)
    assert "this-must-not-run" not in log


def test_another_project_of_the_same_organization_is_refused_at_our_role(scene: Scene):
    project = scene.guided()
    elsewhere = scene.with_vault_at(scene.openbao.address, role=project.role, mount=project.mount)
    refusal, _ = refused(scene, elsewhere)
    assert re.search(r"claim \"(projectId|credentialId)\" does not match", refusal["vaultError"])


def test_the_job_of_an_assigned_project_cannot_log_in_with_its_own_token(scene: Scene):
    """The runner's login token carries `credentialId`; what the job holds does not, even in the right project."""
    project = scene.guided()
    login = f"bao write -address=$VAULT_ADDR auth/{project.mount}/login role={project.role} jwt=-"
    deployment, log = scene.deploy(project.id, f'printf %s "$ENV0_OIDC_TOKEN" | VAULT_TOKEN= BAO_TOKEN= {login}')
    assert deployment["status"] == "FAILURE"
    assert deployment["failedStep"] == "shell:1"
    assert 'claim "credentialId" is missing' in log


def test_the_job_of_an_unassigned_project_cannot_log_in(scene: Scene):
    project = scene.guided()
    scene.api.enable_oidc()
    unassigned = scene.api.project(scene.unique("unassigned"))
    login = f"bao write -address={scene.openbao.address} auth/{project.mount}/login role={project.role} jwt=-"
    deployment, log = scene.deploy(unassigned, f'printf %s "$ENV0_OIDC_TOKEN" | {login}')
    assert deployment["status"] == "FAILURE"
    assert re.search(r"claim \"(credentialId\" is missing|projectId\" does not match)", log)


def test_taking_the_assignment_away_takes_the_secret_away(scene: Scene):
    project = scene.guided()
    scene.api.call("DELETE", f"/credentials/deployment/{project.credential}/project/{project.id}")
    refusal, _ = refused(scene, project.id, DB_PASSWORD=project.reference)
    assert refusal["code"] == "no_credential"


def test_an_unreachable_vault_is_said_to_be_so(scene: Scene):
    refusal, _ = refused(scene, scene.with_vault_at(f"http://127.0.0.1:{free_port()}"))
    assert "unreachable" in refusal["code"]


def test_a_wrong_mount_is_said_to_be_so(scene: Scene):
    refusal, _ = refused(scene, scene.with_vault_at(scene.openbao.address, mount="no-such-mount"))
    assert "no-such-mount" in refusal["reason"]
    assert refusal["vaultError"] == "permission denied"


def test_a_wrong_namespace_is_said_to_be_so(scene: Scene):
    refusal, _ = refused(scene, scene.with_vault_at(scene.openbao.address, namespace="nowhere"))
    assert "nowhere" in refusal["reason"]
    assert refusal["vaultError"] == "namespace not found"


def test_a_sealed_vault_is_said_to_be_so(scene: Scene):
    with DevOpenBao() as sealed:
        with sealed.root() as operator:
            operator.write("sys/seal")
        refusal, _ = refused(scene, scene.with_vault_at(sealed.address))
    assert "sealed" in refusal["reason"]


def test_a_redirect_is_not_followed(scene: Scene):
    with answering(http(307, "", "Location: https://elsewhere.example/v1/x")) as server:
        refusal, _ = refused(scene, scene.with_vault_at(server.address))
    assert "redirect" in refusal["reason"]
    assert "elsewhere.example" in refusal["reason"]


def test_an_unknown_certificate_authority_is_said_to_be_so(scene: Scene, tmp_path: Path):
    _, context = certificates(tmp_path)
    with answering(http(200, "{}"), tls=context) as server:
        refusal, _ = refused(scene, scene.with_vault_at(f"https://127.0.0.1:{server.port}"))
    assert "certificate" in refusal["reason"]


def test_html_is_not_taken_for_an_answer(scene: Scene):
    with answering(http(502, "<html>bad gateway</html>")) as server:
        refusal, log = refused(scene, scene.with_vault_at(server.address))
    assert "<html>" not in log
    assert refusal["vaultError"] is None


def test_every_secret_that_fails_is_named_and_none_is_given(scene: Scene):
    project = scene.guided()
    deployment, log = scene.deploy(
        project.id,
        NOT_RUN,
        GOOD=project.reference,
        NO_KEY=f"${{vault:{project.kv}/app.nothing}}",
        NO_PATH=f"${{vault:{project.kv}/missing.password}}",
    )
    assert deployment["status"] == "FAILURE"
    assert deployment["failedStep"] == STEP
    assert f"{project.kv}/app.nothing" in log
    assert f"{project.kv}/missing.password" in log
    assert "this-must-not-run" not in log
    assert scene.tokens(project.mount) == []


@pytest.mark.parametrize("name", ["VAULT_TOKEN", "LD_PRELOAD", "PATH", "ENV0_OIDC_TOKEN"])
def test_a_reserved_name_is_refused_before_anything_runs(scene: Scene, name: str):
    project = scene.api.project(scene.unique("reserved"))
    with pytest.raises(Exception, match="is reserved"):
        scene.deploy(project, NOT_RUN, **{name: "x"})
