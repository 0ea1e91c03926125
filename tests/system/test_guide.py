"""The guide, walked for real: server, runner, OpenBao, and the ordinary command line inside the job."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import pairwise

import jwt

from scene import PASSWORD, Scene

READ_AND_COMPARE = (
    'test "$(bao kv get -mount={kv} -field=password app)" = "$DB_PASSWORD" && echo both ways gave the same'
)
SHOW_CLAIMS = (
    'p=$(printf %s "$ENV0_OIDC_TOKEN" | cut -d. -f2 | tr _- /+); '
    'while [ $(( ${#p} % 4 )) -ne 0 ]; do p="$p="; done; printf %s "$p" | base64 -d'
)


def test_a_deployment_reads_its_secret_both_ways(scene: Scene):
    project = scene.guided()
    deployment, log = scene.deploy(
        project.id, READ_AND_COMPARE.format(kv=project.kv), "bao token lookup", DB_PASSWORD=project.reference
    )
    assert deployment["status"] == "SUCCESS", log
    assert "both ways gave the same" in log
    assert "deploymentLogId:" + deployment["id"] in log
    assert PASSWORD not in log


def test_nothing_is_left_behind(scene: Scene):
    project = scene.guided()
    deployment, log = scene.deploy(
        project.id, 'echo "workspace $PWD"; touch left-behind; echo "$HOME" "$TMPDIR"', DB_PASSWORD=project.reference
    )
    assert deployment["status"] == "SUCCESS", log
    assert scene.tokens(project.mount) == []
    work = scene.stage.root / "work-acme"
    assert deployment["id"] in log
    assert not list(work.glob(f"{deployment['id']}*"))


def test_the_token_is_revoked_after_a_failure_too(scene: Scene):
    project = scene.guided()
    deployment, log = scene.deploy(project.id, "exit 7", "echo not-reached", DB_PASSWORD=project.reference)
    assert deployment["status"] == "FAILURE"
    assert deployment["failedStep"] == "shell:1"
    assert "exit status 7" in deployment["error"]
    assert "not-reached" not in log
    assert scene.tokens(project.mount) == []


def test_the_commands_see_exactly_the_documented_variables(scene: Scene):
    project = scene.guided()
    names = "VAULT_ADDR VAULT_TOKEN ENV0_OIDC_TOKEN ENV0_DEPLOYMENT_LOG_ID ENV0_PROJECT_ID ENV0_ORGANIZATION_ID"
    deployment, log = scene.deploy(
        project.id,
        f'for n in {names}; do eval "v=\\$$n"; test -n "$v" || exit 1; done; echo "at $VAULT_ADDR"',
        'test -z "${VAULT_NAMESPACE+set}"',
        "env | sed 's/=.*//' | sort | tr '\\n' ' '",
    )
    assert deployment["status"] == "SUCCESS", log
    assert f"at {scene.openbao.address}" in log
    assert "RUNPASS_" not in log.replace("RUNPASS_OUTPUT", "").replace("RUNPASS_MASK_FILE", "")


def test_a_namespace_is_used_for_login_and_secrets(scene: Scene):
    namespace = scene.unique("team")
    project = scene.guided(namespace=namespace)
    deployment, log = scene.deploy(
        project.id,
        f'test "$VAULT_NAMESPACE" = {namespace}',
        READ_AND_COMPARE.format(kv=project.kv),
        DB_PASSWORD=project.reference,
    )
    assert deployment["status"] == "SUCCESS", log
    assert scene.tokens(project.mount, namespace=namespace) == []


def test_env0s_own_version_of_the_guide_works(scene: Scene):
    """`user_claim=sub`, two bound claims, a KV version 1 store, as env0's guide writes them."""
    mount, store, role = scene.unique("jwt"), scene.unique("secrets-for-env0"), scene.unique("role")
    settings = scene.stage.settings
    with scene.operator() as operator:
        operator.write(f"sys/auth/{mount}", {"type": "jwt"})
        operator.write(f"auth/{mount}/config", {"jwks_url": settings.jwks_url, "bound_issuer": settings.issuer_url})
        operator.write(f"sys/mounts/{store}", {"type": "kv"})
        rules = f'path "{store}/*" {{ capabilities = ["read", "create", "update"] }}'
        operator.write(f"sys/policies/acl/{role}", {"policy": rules})
        bound = {"organizationId": scene.api.organization_id, "apiKeyType": "oidc"}
        operator.write(
            f"auth/{mount}/role/{role}",
            {
                "user_claim": "sub",
                "role_type": "jwt",
                "policies": [role],
                "bound_audiences": [settings.audience],
                "bound_claims": bound,
            },
        )
        operator.write(f"{store}/app", {"password": PASSWORD})
    project = scene.with_vault_at(scene.openbao.address, role=role, mount=mount)
    deployment, log = scene.deploy(
        project,
        f'test "$(bao kv get -field=password {store}/app)" = "$DB_PASSWORD"',
        DB_PASSWORD=f"${{vault:{store}/app.password}}",
    )
    assert deployment["status"] == "SUCCESS", log
    assert scene.tokens(mount) == []


def test_the_jobs_own_token_is_signed_by_us_and_never_carries_the_credential(scene: Scene):
    project = scene.guided()
    deployment, log = scene.deploy(project.id, SHOW_CLAIMS)
    assert deployment["status"] == "SUCCESS", log
    claims = json.loads(next(line for line in log.splitlines() if line.strip().startswith("{")))
    assert claims["iss"] == scene.stage.settings.issuer_url
    assert claims["aud"] == scene.stage.settings.audience
    assert claims["sub"] == claims["organizationId"] == scene.api.organization_id
    assert claims["projectId"] == project.id
    assert claims["deploymentLogId"] == deployment["id"]
    assert claims["apiKeyType"] == "oidc"
    assert claims["exp"] - claims["iat"] == 900
    assert claims["nbf"] == claims["iat"]
    assert "credentialId" not in claims


def test_the_published_keys_are_what_a_client_library_expects(scene: Scene):
    keys = jwt.PyJWKClient(scene.stage.settings.jwks_url).get_signing_keys()
    assert [key.algorithm_name for key in keys] == ["RS256"]


def test_several_deployments_run_at_once_and_each_has_its_own_secret(scene: Scene):
    project = scene.guided()
    with ThreadPoolExecutor(6) as pool:
        command = f"sleep 0.3; {READ_AND_COMPARE.format(kv=project.kv)}"
        done = list(pool.map(lambda _: scene.deploy(project.id, command, DB_PASSWORD=project.reference), range(6)))
    assert [deployment["status"] for deployment, _ in done] == ["SUCCESS"] * 6
    assert scene.tokens(project.mount) == []


def test_deployments_of_one_environment_run_one_after_the_other(scene: Scene):
    project = scene.api.project(scene.unique("serial"))
    first = scene.api.deploy(scene.unique("serial"), project, ["sleep 0.2"])
    environment = first["environmentId"]
    later = [scene.api.call("POST", f"/environments/{environment}/deployments", {})["id"] for _ in range(3)]
    ended = [scene.api.wait(deployment) for deployment in later]
    spans = sorted(
        (datetime.fromisoformat(item["startedAt"]), datetime.fromisoformat(item["finishedAt"])) for item in ended
    )
    assert all(item["status"] == "SUCCESS" for item in ended)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
