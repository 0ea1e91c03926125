"""A deployment lets its secrets out in every way it knows; then everything that is left is searched for them.

What a command cuts up, turns round or enciphers before it prints it is beyond any masker: such pieces may stand in that
deployment's own log, and nowhere else.
"""

import base64
import os
import urllib.parse
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from runner_process import until
from runpass.protocol.registration import Isolation
from runpass.runner.isolation import detect
from runpass.runner.settings import DEFAULT_UID_BASE
from scene import Project, Scene

SHARED = [Path("/tmp"), Path("/var/tmp"), Path("/dev/shm")]  # noqa: S108 -- where the run leaves things on purpose
PRINTED = r"""
id -u
for secret in "$FROM_VAULT" "$SENSITIVE"; do
  echo "$secret"; echo "error: $secret" >&2
  printf %s "$secret" | base64 -w0; echo
  printf '%s\n' "$secret" | base64 -w0; echo
  printf 'xx%s' "$secret" | base64 -w0; echo
  printf %s "$secret" | od -An -v -tx1 | tr -d ' \n'; echo
  printf %s "$secret" | od -An -v -tx1 | tr -d ' \n' | tr a-f A-F; echo
  printf 'postgres://app:%s@db/\n' "$secret"
  printf '{"password": "%s"}\n' "$secret"
  printf '%s' "$secret" | cut -c1-12 | tr -d '\n'; sleep 0.1; printf '%s\n' "$secret" | cut -c13-
done
"""
BEYOND = 'printf %s "$FROM_VAULT" | rev; echo; printf %s "$FROM_VAULT" | sed "s/./&-/g"; echo'
LEFT = r"""
for secret in "$FROM_VAULT" "$SENSITIVE"; do
  for place in "$TMPDIR" "$HOME" . /tmp /var/tmp /dev/shm; do
    echo "$secret" >"$place/in-a-file-$$"
    mkdir -p "$place/$secret.d/below"; echo "$secret" >"$place/$secret.d/below/file"
  done
  env LEAKED="$secret" setsid sleep 300 >/dev/null 2>&1 &
  setsid sh -c 'sleep 300; :' "argument $secret" >/dev/null 2>&1 &
done
sh -c 'ulimit -c unlimited; kill -SEGV $$' "$FROM_VAULT" || true
printf '{"leaked": {"value": "%s", "sensitive": false}, ' "$FROM_VAULT" >"$RUNPASS_OUTPUT"
printf '"hidden": {"value": "%s", "sensitive": true}}' "$SENSITIVE" >>"$RUNPASS_OUTPUT"
sleep 0.1
"""


def forms(secret: str) -> dict[str, bytes]:
    """Give the secret as it is and as it may be written."""
    raw = secret.encode()
    # In the middle of something longer, base64 looks like one of three, whichever stands in front.
    inner = [base64.b64encode(b"x" * shift + raw)[4 if shift else 0 : -4] for shift in range(3)]
    written = {f"base64 {number}": text for number, text in enumerate(inner)}
    return {"raw": raw, "hex": raw.hex().encode(), "HEX": raw.hex().upper().encode(), **written}


@dataclass
class Leaky:
    """What was let out, and by whom."""

    deployment: str
    secrets: dict[str, str]
    log: str
    user: int


@pytest.fixture(scope="module")
def leaky(scene: Scene):
    if detect(DEFAULT_UID_BASE).kind is Isolation.NONE:
        pytest.skip("without isolation, what a run leaves in shared directories cannot be told from anybody's")
    project = scene.guided()
    secrets = {"FROM_VAULT": f"from/vault+{uuid4().hex}", "SENSITIVE": f"sensitive {uuid4().hex}"}
    keep(scene, project, secrets)
    reference = f"${{vault:{project.kv}/leaky.password}}"
    deployment, log = scene.deploy(project.id, PRINTED, BEYOND, LEFT, "true", FROM_VAULT=reference)
    assert deployment["status"] == "SUCCESS", log
    user = int(next(line for line in log.splitlines() if line.strip().isdigit()))
    return Leaky(deployment["id"], secrets, log, user)


def keep(scene: Scene, project: Project, secrets: dict[str, str]) -> None:
    with scene.operator() as operator:
        operator.write(f"{project.kv}/data/leaky", {"data": {"password": secrets["FROM_VAULT"]}})
    where = {"scope": "PROJECT", "scopeId": project.id, "organizationId": scene.api.organization_id}
    value = {"name": "SENSITIVE", "value": secrets["SENSITIVE"], "isSensitive": True}
    scene.api.call("POST", "/configuration", [{**where, **value}])


def assert_none(content: bytes, secrets: dict[str, str], where: str) -> None:
    for name, secret in secrets.items():
        for form, text in forms(secret).items():
            assert text not in content, f"{name} ({form}) stands in {where}"
        quoted = urllib.parse.quote(secret, safe="").encode()
        assert quoted not in content, f"{name} (as in a URL) stands in {where}"


def test_none_in_the_log(leaky):
    lines = [line.removeprefix("   ") for line in leaky.log.splitlines()]
    assert_none("\n".join(lines).encode(), leaky.secrets, "the log")
    assert_none("".join(lines).encode(), leaky.secrets, "the log without its line ends")
    assert leaky.log.count("***") >= 14


def test_none_in_any_file_of_server_and_runner(scene: Scene, leaky):
    files = [path for path in scene.stage.root.rglob("*") if path.is_file() and "tools" not in path.parts]
    assert {"runpass.db", "runpass.db-wal", "runner.json"} <= {path.name for path in files}
    assert any(path.suffix == ".log" for path in files)
    for path in files:
        assert_none(path.read_bytes(), leaky.secrets, path.name)
        assert "core" not in path.name
    for path in scene.stage.root.rglob("*"):
        assert_none(str(path).encode(), leaky.secrets, "a file's name")


def test_pieces_beyond_a_masker_stand_in_the_deployments_log_alone(scene: Scene, leaky):
    turned = leaky.secrets["FROM_VAULT"][::-1]
    assert turned in leaky.log
    logs = [path for path in scene.stage.root.rglob("*.log") if path.is_file()]
    for path in logs:
        assert turned.encode() not in path.read_bytes(), path.name


def test_none_in_the_environment_or_the_arguments_of_what_is_alive(leaky):
    seen = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            content = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
            owner = process.stat().st_uid
        except OSError:
            continue
        seen += 1
        assert_none(content, leaky.secrets, f"process {process.name}")
        assert os.geteuid() != 0 or owner != leaky.user, f"process {process.name} of the run is alive"
    assert seen > 3


def test_none_in_shared_directories_and_no_core_anywhere(scene: Scene, leaky):
    for directory in SHARED:
        for path in directory.iterdir():
            assert_none(path.name.encode(), leaky.secrets, f"a name in {directory}")
            with suppress(FileNotFoundError):  # somebody else's, gone meanwhile
                assert os.geteuid() != 0 or path.lstat().st_uid != leaky.user, path
    assert not list(Path("/").glob("core*"))
    until(lambda: [path.name for path in (scene.stage.root / "work-acme").iterdir()] == [".lock"])


def test_outputs_that_hold_a_secret_come_back_to_nobody(scene: Scene, leaky):
    deployment = scene.api.call("GET", f"/environments/deployments/{leaky.deployment}")
    environment = scene.api.call("GET", f"/environments/{deployment['environmentId']}")
    assert "leaked" in repr((deployment, environment)), leaky.log
    assert_none(repr((deployment, environment)).encode(), leaky.secrets, "the API's answer")
