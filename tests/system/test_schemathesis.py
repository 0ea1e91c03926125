"""The running management API does what its description says: schemathesis sends what fits it and what does not.

All of schemathesis' checks are on, except for the exemptions in `schemathesis.toml`, each with its reason. Bounded
here; at length with the Hypothesis profile "fuzz" (`make fuzz`).
"""

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import hypothesis
import pytest

from programs import Founded, clean_environment, running_server
from runpass.cli.programs import openapi_json

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
EXEMPTIONS = Path(__file__).with_name("schemathesis.toml")
COPIES = 3
"""How many of each thing there are: some requests delete one."""
LONG = hypothesis.settings.get_profile("fuzz").max_examples == hypothesis.settings.default.max_examples
SHORT_RUNS = {
    "what makes things": ("fuzzing", 2, ["POST"]),
    "what reads, changes and deletes": ("fuzzing", 1, ["GET", "PUT", "PATCH", "DELETE"]),
}
"""Phase, examples of each kind for each operation, methods. Two, so that two processes can share the work."""
LONG_RUNS = {"coverage": ("coverage", 1, []), "fuzzing": ("fuzzing", 200, []), "stateful": ("stateful", 500, [])}
RUNS = LONG_RUNS if LONG else SHORT_RUNS
WITH_A_GOOD_ANSWER = 0.2
"""The least share of operations that did what was asked: not every made-up request meets a thing that is there."""


@dataclass(frozen=True)
class Target:
    """A server, and what schemathesis needs to talk to it."""

    url: str
    config: str
    operations: frozenset[str]
    schema: str


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    unlimited = {"rate_limit_requests": 0, "failed_login_limit": 0}
    with running_server(tmp_path_factory.mktemp("fuzzed"), **unlimited) as server:
        admin = server.found("fuzzed")
        schema = openapi_json()
        paths = json.loads(schema)["paths"]
        operations = frozenset(f"{method.upper()} {path}" for path, item in paths.items() for method in item)
        config = "\n".join([EXEMPTIONS.read_text(), *_known(_furnish(server.url, admin))])
        yield Target(server.url, f"{config}\n{_authentication(admin)}", operations, schema)
        assert "request.crashed" not in server.log


def _authentication(admin: Founded) -> str:
    return f'[auth.basic]\nusername = "{admin.api_key_id}"\npassword = "{admin.api_key_secret}"\n'


def _furnish(url: str, admin: Founded) -> dict[str, list[str]]:
    """Make things to ask about; give their ids by the names that the description has for them."""
    found: dict[str, list[str]] = {"organization": [admin.organization_id]}
    own = {"organizationId": admin.organization_id}
    with httpx2.Client(
        base_url=f"{url}/api", auth=(admin.api_key_id, admin.api_key_secret), trust_env=False, timeout=10
    ) as api:

        def made(kind: str, path: str, body: Any) -> str:
            answer = api.post(path, json=body)
            assert answer.is_success, answer.text
            thing = answer.json()
            found.setdefault(kind, []).append(thing["id"] if isinstance(thing, dict) else thing[0]["id"])
            return found[kind][-1]

        for number in range(COPIES):
            project = made("project", "/projects", {"name": f"p{number}", **own})
            shell = {"name": f"t{number}", "type": "shell", "commands": ["true"], **own}
            template = made("template", "/blueprints", shell)
            assert api.patch(f"/blueprints/{template}/projects", json={"projectId": project}).is_success
            vault = {"address": "https://vault.example.com", "version": "1.18.0", "roleName": "deploy"}
            value = {**vault, "jwtAuthBackendPath": "jwt"}
            made("credential", "/credentials", {"name": f"c{number}", "type": "VAULT_OIDC", "value": value, **own})
            variable = {"name": f"V{number}", "value": "x", "scope": "GLOBAL", "type": 0, **own}
            made("variable", "/configuration", [variable])
            made("key", "/api-keys", {"name": f"k{number}", "permissions": {"organizationRole": "User"}, **own})
            deploy = {"deployRequest": {"blueprintId": template}}
            environment = made("environment", "/environments", {"name": f"e{number}", "projectId": project, **deploy})
            listed = api.get(f"/environments/{environment}/deployments").json()
            found.setdefault("deployment", []).append(listed[0]["id"])
    return found


def _known(found: dict[str, list[str]]) -> Iterator[str]:
    """Give the part of the configuration that lets schemathesis name things that are there, most of the time."""
    wire = {"template": "blueprint"}
    for kind, ids in found.items():
        yield f"[dictionaries.{kind}]\nvalues = {json.dumps(ids)}"
    yield "[parameters]"
    for kind in found:
        places = [f"path.{kind}_id", f"query.{wire.get(kind, kind)}Id", f"body.{wire.get(kind, kind)}Id"]
        yield "\n".join(f'"{place}" = {{ dictionary = "{kind}", probability = 0.8 }}' for place in places)


def _answers(report: Path) -> Iterator[tuple[str, int]]:
    """Give operation and status of every answer in a report."""
    for line in report.read_text().splitlines():
        recorder = json.loads(line).get("ScenarioFinished", {}).get("recorder") or {}
        for case, interaction in recorder.get("interactions", {}).items():
            asked = recorder["cases"][case]["value"]
            if interaction["response"]:  # none for a request that could not be sent
                yield f"{asked['method']} {asked['path']}", interaction["response"]["status_code"]


@pytest.mark.timeout(7200 if LONG else 120)
@pytest.mark.parametrize("run", sorted(RUNS))
def test_every_operation_answers_as_it_is_described(target: Target, run: str, tmp_path: Path):
    phase, examples, methods = RUNS[run]
    config, report, schema = (tmp_path / name for name in ("schemathesis.toml", "report.ndjson", "openapi.json"))
    config.write_text(target.config)
    schema.write_text(target.schema)
    chosen = [part for method in methods for part in ("--include-method", method)]
    what = ["--url", target.url, "--phases", phase, "--max-examples", str(examples), *chosen, "--continue-on-failure"]
    output = ["--report", "ndjson", "--report-ndjson-path", report, "--warnings", "off"]
    again = [] if LONG else ["--generation-deterministic", "--no-shrink"]
    done = subprocess.run(
        [SCHEMATHESIS, "--config-file", config, "run", schema, *what, *output, *again],
        env=clean_environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    answers = list(_answers(report))
    wanted = {item for item in target.operations if not methods or item.split()[0] in methods}
    if phase != "stateful":
        assert wanted <= {operation for operation, _ in answers}
    good = {operation for operation, status in answers if status < 300}
    if phase == "fuzzing":
        assert len(wanted & good) >= WITH_A_GOOD_ANSWER * len(wanted), wanted - good


def test_every_exemption_is_for_a_route_that_is_there(target: Target):
    exempt = tomllib.loads(EXEMPTIONS.read_text())["operations"]
    for entry in exempt:
        method = entry.get("include-method", "")
        fitting = [item for item in target.operations if item.endswith(f" {entry['include-path']}")]
        assert [item for item in fitting if item.startswith(method)], entry
    assert len(exempt) < len(target.operations) / 3
