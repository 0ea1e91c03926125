import subprocess
from pathlib import Path

import pytest

from runpass.ids import new_id
from runpass.protocol.run_lease import RunFacts, Variable
from runpass.runner import environment
from runpass.runner.workspace import Workspace
from runpass.secret import Secret

PLACE = Workspace(Path("/w/d"), (), {})


def facts(**changes):
    ids = {f"{name}_id": new_id() for name in ("organization", "project", "environment", "deployment", "template")}
    names = {f"{name}_name": name for name in ("organization", "project", "environment", "template", "workspace")}
    return RunFacts(**{**ids, **names, "deployment_type": "deploy", **changes})


def test_a_run_knows_who_and_where_it_is():
    run = facts(revision="v1.2", deployer_name="Ada", deployer_email="ada@example.com")
    given = environment.of_run(run, PLACE, [Path("/opt/tools")])
    assert given["ENV0_PROJECT_ID"] == str(run.project_id)
    assert given["ENV0_DEPLOYMENT_LOG_ID"] == str(run.deployment_id)
    assert given["ENV0_DEPLOYMENT_REVISION"] == "v1.2"
    assert given["ENV0_DEPLOYER_EMAIL"] == "ada@example.com"
    assert given["ENV0_ROOT_DIR"] == "/w/d/workspace"
    assert given["HOME"] == "/w/d/home"
    assert given["TMPDIR"] == "/w/d/tmp"
    assert given["PATH"].startswith("/opt/tools:/usr/local/sbin:")


def test_what_is_not_known_is_left_out():
    given = environment.of_run(facts(), PLACE, [])
    assert "ENV0_DEPLOYMENT_REVISION" not in given
    assert "ENV0_DEPLOYER_NAME" not in given


def test_an_approved_run_knows_who_approved_it():
    reviewer, deployer = new_id(), new_id()
    run = facts(reviewer_name="Grace", reviewer_id=reviewer, deployer_id=deployer)
    given = environment.of_run(run, PLACE, [])
    assert (given["ENV0_REVIEWER_NAME"], given["ENV0_REVIEWER_USER_ID"]) == ("Grace", str(reviewer))
    assert given["ENV0_DEPLOYER_USER_ID"] == str(deployer)
    assert "ENV0_REVIEWER_EMAIL" not in given
    assert not {name for name in environment.of_run(facts(), PLACE, []) if name.startswith("ENV0_REVIEWER")}


def test_names_of_runpass_win_over_the_users_and_the_users_over_the_hosts():
    built = environment.build({"LANG": "C", "A": "host"}, {"A": "user", "PATH": "user"}, {"PATH": "own"})
    assert built == {"LANG": "C", "A": "user", "PATH": "own"}


def test_controls_steer_the_run_and_are_not_handed_on():
    assert environment.build({}, {"ENV0_OIDC_TAG": "blue", "B": "1"}, {}) == {"B": "1"}


def test_a_value_that_no_environment_can_carry_is_refused_by_name():
    sentence = environment.refuse([Variable(name="ODD", value=Secret("a\0b")), Variable(name="FINE", value=Secret(""))])
    assert sentence is not None
    assert "ODD" in sentence
    assert "FINE" not in sentence


def test_reserved_names_are_refused_before_values_are_looked_at():
    sentence = environment.refuse(
        [Variable(name="LD_PRELOAD", value=Secret("x")), Variable(name="OK", value=Secret(""))]
    )
    assert sentence is not None
    assert sentence.endswith(": LD_PRELOAD.")


def sentence_of(**values):
    return environment.refuse(Variable(name=name, value=Secret(value)) for name, value in values.items())


def test_the_largest_variable_that_linux_takes_is_taken_and_no_larger_one():
    most = environment.MAX_VARIABLE - len("BIG=") - 1
    assert sentence_of(BIG="x" * most) is None
    subprocess.run(["/bin/true"], env={"BIG": "x" * most}, check=True)
    sentence = sentence_of(BIG="x" * (most + 1), SMALL="x")
    assert sentence is not None
    assert sentence.endswith(": BIG.")
    assert sentence_of(BIG="ä" * (most // 2 + 1)) is not None
    with pytest.raises(OSError, match="Argument list too long"):
        subprocess.run(["/bin/true"], env={"BIG": "x" * (most + 1)}, check=True)


def test_variables_that_are_too_large_together_are_refused_with_the_largest_named():
    values = {f"V{number}": "x" * 100_000 for number in range(11)}
    sentence = sentence_of(**values, LARGEST="x" * 120_000)
    assert sentence is not None
    assert "LARGEST" in sentence
    assert sentence_of(**dict(list(values.items())[:10])) is None
