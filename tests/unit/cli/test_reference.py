"""The generated reference documentation."""

import json
import os
import subprocess
import sys

import pytest

from runpass.cli.programs import openapi_json
from runpass.cli.reference import DIRECTORY, all_errors, generated


@pytest.fixture(scope="module")
def texts():
    return {path.name: text for path, text in generated().items()}


def test_it_is_the_same_every_time_and_everywhere(texts):
    script = "from runpass.cli.reference import generated; print('\\x00'.join(generated().values()), end='')"
    environment = {"PATH": os.environ["PATH"], "HOSTNAME": "another", "COLUMNS": "40", "PYTHONHASHSEED": "7"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert dict(zip(texts, done.stdout.split("\x00"), strict=True)) == texts


def test_it_is_written_into_the_reference_documentation(texts):
    assert {path.parent for path in generated()} == {DIRECTORY}
    assert DIRECTORY.parts[-2:] == ("docs", "reference")
    pages = {"settings.md", "claims.md", "permissions.md", "errors.md", "cli.md", "api.md"} | {
        "vault-lint.md",
        "vault-file.md",
    }
    assert set(texts) == pages


def test_every_setting_is_there_with_its_variable(texts):
    for variable in ("RUNPASS_LISTEN_PORT", "RUNPASS_JOIN_TOKEN_FILE", "RUNPASS_API_KEY_FILE"):
        assert f"`{variable}`" in texts["settings.md"]


def test_every_error_code_is_there_once(texts):
    for kind in all_errors():
        assert texts["errors.md"].count(f"| `{kind.code}` |") == 1


def test_errors_of_every_part_are_found():
    codes = {kind.code for kind in all_errors()}
    assert {"invalid_input", "stale_lease", "vault_sealed", "secret_not_found", "audience"} <= codes


def test_claims_and_permissions_are_there(texts):
    assert "| `deploymentLogId` |" in texts["claims.md"]
    assert "| `credentialId` | ours |" in texts["claims.md"]
    assert "| `RUN_APPLY` | yes |  | yes | yes |  |  |" in texts["permissions.md"]


def test_every_command_is_there(texts):
    for command in ("runpass server", "runpass deployment log DEPLOYMENT", "runpass vault setup"):
        assert f"## `{command}`\n" in texts["cli.md"]


def test_every_route_of_the_api_is_there_with_what_it_takes_and_answers(texts):
    document = json.loads(openapi_json())
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert texts["api.md"].count(f"### `{method.upper()} {path}`\n") == 1
            for parameter in operation.get("parameters", ()):
                assert f"| `{parameter['name']}` | {parameter['in']} |" in texts["api.md"]
    for name, schema in document["components"]["schemas"].items():
        assert texts["api.md"].count(f"### {name}\n") == 1
        for field in schema.get("properties", {}):
            assert f"\n| `{field}` | " in texts["api.md"], (name, field)


def test_a_route_of_the_api_reads_like_this(texts):
    section = texts["api.md"].split("### `DELETE /api/runners/{runner_id}`")[1].split("###")[0]
    assert "| `runner_id` | path | uuid | required |" in section
    assert "Answers: 204 without a body; refusals: 401, 403, 404, 409, 413, 414, 422, 429, 431, 503." in section


def test_tables_have_as_many_cells_in_every_row(texts):
    for name, text in texts.items():
        heads = 0
        for line in text.splitlines():
            cells = line.replace("\\|", "").count("|") if line.startswith("|") else 0
            assert not (cells and heads) or cells == heads, (name, line)
            heads = cells
