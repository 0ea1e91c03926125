"""A job asks for identity tokens during its run, as GitHub's tools do, and finds fresh ones in files."""

import json
from contextlib import ExitStack
from dataclasses import replace

import jwt
import pytest

from runner_process import until
from runpass.local.openbao import DevOpenBao, free_port
from runpass.local.stage import throw_away_stage
from scene import Project, Scene

ASK = """
cat > ask.py <<'END'
import json, os, sys, urllib.error, urllib.request
url, bearer = os.environ["ACTIONS_ID_TOKEN_REQUEST_URL"], os.environ["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]
request = urllib.request.Request(url + sys.argv[1], headers={"Authorization": "bearer " + bearer})
try:
    print("".join(chr(ord(c) ^ 1) for c in json.load(urllib.request.urlopen(request))["value"]))
except urllib.error.HTTPError as error:
    print(error.code, json.load(error)["message"])
END
ask() { /usr/bin/python3 ask.py "$1"; }
"""
"""Prints the token with each character changed: as it is, the log would not show it."""


def told(line: str) -> dict:
    """Give the claims of a token that the job printed in disguise."""
    return jwt.decode("".join(chr(ord(c) ^ 1) for c in line), options={"verify_signature": False})


def lines_of(log: str) -> list[str]:
    return [line.strip() for line in log.splitlines()]


def test_a_job_gets_a_token_for_the_audience_it_names(scene: Scene):
    project = scene.guided()
    ours = scene.stage.settings.public_url
    _, log = scene.deploy(
        project.id,
        f"{ASK} ask '&audience=sts.amazonaws.com'; ask ''; ask '&audience={ours}/api'; ask '&audience=a%20b'",
    )
    aws, shared, own, unfit = lines_of(log)[-4:]
    assert told(aws)["aud"] == "sts.amazonaws.com"
    assert told(shared)["aud"] == scene.stage.settings.audience
    assert "credentialId" not in told(aws)
    assert told(aws)["projectId"] == project.id
    assert own.startswith("403 a URL of this server")
    assert unfit.startswith("422 audience: must be printable")


def test_a_role_that_binds_the_credential_refuses_what_a_job_asked_for(scene: Scene):
    project = scene.guided()
    audience = scene.stage.settings.audience
    # From the job's own environment, the login that the runner made with the credential's token.
    login = (
        f"{ASK} ask '&audience={audience}' > disguised; "
        "/usr/bin/python3 -c \"print(''.join(chr(ord(c)^1) for c in open('disguised').read().strip()))\" > token; "
        f"unset VAULT_TOKEN BAO_TOKEN; "
        f"bao write auth/{project.mount}/login role={project.role} jwt=@token || echo refused"
    )
    deployment, log = scene.deploy(project.id, login)
    assert deployment["status"] == "SUCCESS", log
    assert "refused" in log
    assert 'claim "credentialId" is missing' in log


def test_the_files_are_the_runs_own_and_stay_fresh(openbao: DevOpenBao):
    with ExitStack() as stack:
        stage = stack.enter_context(throw_away_stage())
        stage = replace(stage, settings=stage.settings.model_copy(update={"token_lifetime_seconds": 6}))
        (api,) = stage.found(["Acme"])
        stack.callback(api.close)
        stage.start_server(stack)
        stage.start_runner(stack, api, "runner")
        scene = Scene(stage, openbao, api, api)
        project = scene.guided()
        deployment, log = scene.deploy(
            project.id,
            'stat -c "%a %u" "$ENV0_OIDC_TOKEN_FILE"; id -u; '
            'printf %s "$ENV0_OIDC_TOKEN" | cmp - "$ENV0_OIDC_TOKEN_FILE" && echo "the same at first"; '
            'cp "$ENV0_OIDC_TOKEN_FILE" first; '
            'for i in $(seq 60); do cmp -s "$ENV0_OIDC_TOKEN_FILE" first || break; sleep 0.25; done; '
            'cmp -s "$ENV0_OIDC_TOKEN_FILE" first || echo renewed; cat "$ENV0_OIDC_TOKEN_FILE"; echo; '
            'touch "$(dirname "$ENV0_OIDC_TOKEN_FILE")/mine" 2> /dev/null || echo "not writable"',
        )
        assert deployment["status"] == "SUCCESS", log
        lines = lines_of(log)
        assert "the same at first" in lines
        assert "renewed" in lines
        assert "***" in lines  # the renewed one is masked as well
        mode_and_owner = next(line for line in lines if line.startswith("600 "))
        assert mode_and_owner.split()[1] in lines  # the run's own user
        assert not any(line.startswith("eyJ") for line in lines)


@pytest.fixture
def two_servers(openbao: DevOpenBao, empty_postgresql_url: str):
    with ExitStack() as stack:
        stage = stack.enter_context(throw_away_stage(database_url=empty_postgresql_url))
        (api,) = stage.found(["Acme"])
        stack.callback(api.close)
        stage.start_server(stack)
        stage.start_runner(stack, api, "runner")
        other = replace(stage, settings=stage.settings.model_copy(update={"listen_port": free_port()}))
        other.start_server(stack)
        yield Scene(stage, openbao, api, api), f"http://127.0.0.1:{other.settings.listen_port}"


def test_an_aborted_run_gets_no_more_tokens_from_any_server(two_servers: tuple[Scene, str]):
    scene, elsewhere = two_servers
    project: Project = scene.guided()
    # It asks the other server, whatever happens, until it is killed; SIGTERM does not stop it.
    command = (
        f"{ASK} trap '' TERM; "
        f'export ACTIONS_ID_TOKEN_REQUEST_URL="{elsewhere}/${{ACTIONS_ID_TOKEN_REQUEST_URL#http://*/}}"; '
        "while true; do ask '' | cut -c1-4; sleep 0.1; done"
    )
    started = scene.api.start(scene.unique("aborted"), project.id, [command], {})
    until(lambda: "dxK" in scene.api.log(started), seconds=40)
    scene.api.call("POST", f"/environments/deployments/{started}/abort", {})
    # Not anywhere in the log: a port that ends in 401 stands there too.
    until(lambda: any(line.startswith("401") for line in lines_of(scene.api.log(started))), seconds=40)
    lines = lines_of(scene.api.log(started))
    first = next(number for number, line in enumerate(lines) if line.startswith("401"))
    assert not any(line.startswith("dxK") for line in lines[first:])
    assert scene.api.wait(started)["status"] == "ABORTED"


def test_json_is_what_githubs_tools_read(scene: Scene):
    project = scene.guided()
    _, log = scene.deploy(
        project.id,
        "/usr/bin/python3 - <<'END'\n"
        "import json, os, urllib.request as u\n"
        "r = u.Request(os.environ['ACTIONS_ID_TOKEN_REQUEST_URL'] + '&audience=x',"
        " headers={'Authorization': 'Bearer ' + os.environ['ACTIONS_ID_TOKEN_REQUEST_TOKEN'],"
        " 'Accept': 'application/json; api-version=2.0'})\n"
        "a = u.urlopen(r)\n"
        "print(json.dumps([a.status, a.headers['content-type'], a.headers['cache-control'], sorted(json.load(a))]))\n"
        "END",
    )
    assert json.loads(lines_of(log)[-1]) == [200, "application/json", "no-store", ["value"]]
