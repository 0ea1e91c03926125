"""`runpass demo`, as a newcomer runs it."""

import json
from pathlib import Path

from programs import clean_environment, run_cli


def test_the_demo_shows_the_whole_guide_and_every_refusal(tmp_path: Path):
    done = run_cli("demo", "--json", "--logs", str(tmp_path), environment=clean_environment())
    result = json.loads(done.stdout.splitlines()[-1])
    assert set(result) == {
        "issuer",
        "vaultVersion",
        "steps",
        "deployment",
        "refusals",
        "tokensOutstanding",
        "seconds",
    }
    assert result["issuer"].endswith("/")
    assert result["deployment"]["status"] == "SUCCESS"
    assert 0 < result["deployment"]["secondsToSecret"] < result["seconds"]
    assert result["tokensOutstanding"] == 0
    refusals = {item["case"]: item for item in result["refusals"]}
    assert list(refusals) == ["no-credential", "other-organization", "unknown-role", "not-assigned"]
    assert {item["status"] for item in refusals.values()} == {"FAILURE"}
    assert "unassigned" in refusals["no-credential"]["reason"]
    assert refusals["no-credential"]["vaultError"] is None
    assert "does not match" in refusals["other-organization"]["vaultError"]
    assert refusals["unknown-role"]["vaultError"] == 'role "deplyo" could not be found'
    said = refusals["not-assigned"]["vaultError"]  # both claims differ, and OpenBao checks them in no fixed order
    assert "credentialId" in said or "projectId" in said
    assert {path.name for path in tmp_path.iterdir()} == {f"{case}.log" for case in [*refusals, "production"]}
    assert all(step["seconds"] >= 0 for step in result["steps"])
