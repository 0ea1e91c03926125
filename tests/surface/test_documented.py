"""The reference documentation has every setting, error code, claim and permission, as the code has them now."""

from pathlib import Path

import pytest

from runpass.cli.reference import all_errors, generated
from runpass.runner.settings import RunnerSettings
from runpass.server.access.permissions import OrganizationRole, Permission, ProjectRole
from runpass.server.issuer.claims import documented
from runpass.server.settings import PREFIX, ServerSettings

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def page(name: str) -> str:
    return (REFERENCE / name).read_text()


@pytest.mark.parametrize("file", sorted(path.name for path in generated()))
def test_the_committed_page_is_what_the_code_gives(file: str):
    texts = {path.name: text for path, text in generated().items()}
    assert page(file) == texts[file], "run: make docs"


def test_every_setting_is_on_its_page_with_what_it_means():
    text = page("settings.md")
    for model in (ServerSettings, RunnerSettings):
        for name, field in model.model_fields.items():
            assert f"`{name}`" in text or f"`{PREFIX}{name.upper()}`" in text, name
            assert field.description, name


def test_every_error_code_is_on_its_page():
    text = page("errors.md")
    for kind in all_errors():
        assert f"`{kind.code}`" in text, kind
    for code in ("invalid_json", "method_not_allowed", "payload_too_large", "http_error", "internal"):
        assert f"`{code}`" in text


def test_every_claim_is_on_its_page():
    text = page("claims.md")
    for claim, meaning, _ in documented():
        assert f"`{claim}`" in text
        assert meaning.rstrip(".").split("`")[0] in text, claim


def test_every_permission_and_role_is_on_its_page():
    text = page("permissions.md")
    for item in (*Permission, *OrganizationRole, *ProjectRole):
        assert item.value in text
