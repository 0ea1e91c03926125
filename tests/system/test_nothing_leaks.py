"""After deployments that used secrets in every way: nothing of them in any log, database, argument or environment."""

from pathlib import Path

from scene import PASSWORD, Scene


def test_secrets_and_tokens_stand_in_no_log_database_or_argument(scene: Scene):
    project = scene.guided()
    sensitive = "a-sensitive-variable-9f2c"
    body = [
        {
            "name": "SENSITIVE",
            "value": sensitive,
            "isSensitive": True,
            "scope": "PROJECT",
            "scopeId": project.id,
            "organizationId": scene.api.organization_id,
        }
    ]
    scene.api.call("POST", "/configuration", body)
    deployment, log = scene.deploy(
        project.id,
        'echo "$DB_PASSWORD $SENSITIVE"; echo "$VAULT_TOKEN"; echo "$ENV0_OIDC_TOKEN"',
        'printf %s "$DB_PASSWORD" | base64; printf %s "$SENSITIVE" | od -An -tx1 | tr -d " \\n"',
        'cat /proc/self/cmdline | tr "\\0" " "; sleep 0.2',
        DB_PASSWORD=project.reference,
    )
    assert deployment["status"] == "SUCCESS", log
    assert "***" in log
    printed = {(leak["secret"], leak["step"]) for leak in deployment["leaks"]}
    assert {("DB_PASSWORD", "shell:1"), ("SENSITIVE", "shell:1"), ("DB_PASSWORD", "shell:2")} <= printed
    assert {("VAULT_TOKEN", "shell:1"), ("ENV0_OIDC_TOKEN", "shell:1"), ("SENSITIVE", "shell:2")} <= printed
    told = scene.api.of_organization("/audit-events", action="secret.leaked", limit=1000)
    assert {(event["detail"]["secret"], event["detail"]["step"]) for event in told} >= printed
    secrets = [PASSWORD, sensitive, sensitive.encode().hex(), "s.", "eyJ"]
    for line in log.splitlines():
        words = line.split()
        assert not any(word.startswith(("s.", "eyJ")) for word in words), line
        assert not any(secret in line for secret in secrets[:3]), line
    _nothing_in_files(scene, [PASSWORD, sensitive, "eyJhbGciOi"])
    _nothing_in_programs([PASSWORD, sensitive, "eyJhbGciOi"])


def _nothing_in_files(scene: Scene, secrets: list[str]) -> None:
    files = [path for part in ("server", "etc") for path in (scene.stage.root / part).rglob("*") if path.is_file()]
    assert any(path.name == "runpass.db" for path in files)
    assert any(path.suffix == ".log" for path in files)
    for path in files:
        content = path.read_bytes()
        for secret in secrets:
            assert secret.encode() not in content, f"{secret[:4]}… stands in {path.name}"


def _nothing_in_programs(secrets: list[str]) -> None:
    searched = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            surroundings = (process / "environ").read_bytes()
        except OSError:
            continue
        # A job's own processes may hold what the job was given; other tests run some at the same time.
        is_job = b"/scripts/" in command or b"ENV0_ROOT_DIR=" in surroundings
        if b"runpass" in command and b"pytest" not in command and not is_job:
            searched += 1
            assert not any(secret.encode() in command + surroundings for secret in secrets), command
    assert searched >= 3
