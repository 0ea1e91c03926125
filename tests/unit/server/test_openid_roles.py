"""What groups mean: the operator's file, read once."""

from pathlib import Path
from uuid import UUID

import pytest

from runpass.errors import ConfigurationError
from runpass.server.access.permissions import OrganizationRole, ProjectRole
from runpass.server.openid.roles import GroupRoles, read_roles

ONE, TWO = "0198a000-0000-7000-8000-000000000001", "0198a000-0000-7000-8000-000000000002"
WEB = "0198a000-0000-7000-8000-00000000000a"
FILE = f"""
[[roles]]
group = "developers"
organization = "{ONE}"
role = "User"
projects = {{ "{WEB}" = "Planner" }}

[[roles]]
group = "leads"
organization = "{ONE}"
role = "User"
projects = {{ "{WEB}" = "Deployer" }}

[[roles]]
group = "bosses"
organization = "{ONE}"
role = "Admin"

[[roles]]
group = "others"
organization = "{TWO}"
role = "Admin"
"""


def roles(tmp_path: Path, text: str = FILE) -> GroupRoles:
    file = tmp_path / "roles.toml"
    file.write_text(text)
    return read_roles(file)


@pytest.mark.parametrize("groups", [set(), {"Developers"}, {"developer"}, {"developers "}])
def test_groups_that_the_file_does_not_name_give_nothing(tmp_path: Path, groups: set[str]):
    assert roles(tmp_path).granted(groups) is None


def test_the_strongest_of_several_roles_counts_in_one_organization(tmp_path: Path):
    found = roles(tmp_path).granted({"leads", "developers"})
    assert found is not None
    assert (found.organization_role, found.project_roles) == (OrganizationRole.USER, {UUID(WEB): ProjectRole.DEPLOYER})
    boss = roles(tmp_path).granted({"others", "bosses", "developers"})
    assert boss is not None
    assert (str(boss.organization_id), boss.organization_role) == (ONE, OrganizationRole.ADMIN)
    assert boss.project_roles == {UUID(WEB): ProjectRole.PLANNER}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("roles = [", "is not TOML"),
        ("", "roles: Field required"),
        ("roles = []", "roles"),
        (FILE.replace('"User"', '"Owner"'), "roles.0.role"),
        (FILE.replace(ONE, "acme"), "roles.0.organization"),
        (FILE.replace("group =", "grup ="), "roles.0.group"),
        (FILE.replace('"Planner"', '"User"'), "roles.0.projects"),
    ],
)
def test_a_file_that_is_wrong_stops_the_start_with_a_sentence(tmp_path: Path, text: str, sentence: str):
    with pytest.raises(ConfigurationError) as error:
        roles(tmp_path, text)
    assert sentence in error.value.message


def test_a_file_that_is_not_there_stops_the_start(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_roles(tmp_path / "none.toml")
