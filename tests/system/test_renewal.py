"""A run that outlives its Vault token's first TTL keeps it."""

from scene import Scene


def test_a_token_is_renewed_while_the_run_goes_on(scene: Scene):
    project = scene.guided()
    with scene.operator() as operator:
        role = operator.read(f"auth/{project.mount}/role/{project.role}").data
        operator.write(f"auth/{project.mount}/role/{project.role}", {**role, "token_ttl": 2})
    deployment, log = scene.deploy(
        project.id, "sleep 3.5", f"bao kv get -mount={project.kv} -field=password app > /dev/null && echo still there"
    )
    assert deployment["status"] == "SUCCESS", log
    assert "still there" in log
    assert scene.tokens(project.mount) == []


def test_a_pool_of_its_own_runs_what_is_meant_for_it(scene: Scene):
    project = scene.api.project(scene.unique("pooled"))
    first = scene.api.deploy(scene.unique("pooled"), project, ["true"])
    path = f"/environments/{first['environmentId']}/deployments"
    pool = scene.unique("pool")
    token = {"organizationId": scene.api.organization_id, "pool": pool}
    scene.api.call("POST", "/runners/join-tokens", token)
    waiting = scene.api.call("POST", path, {"runnerPool": pool})["id"]
    assert scene.api.call("GET", f"/environments/deployments/{waiting}")["status"] == "QUEUED"
    assert scene.api.call("PUT", f"/environments/deployments/{waiting}/cancel")["status"] == "CANCELLED"
