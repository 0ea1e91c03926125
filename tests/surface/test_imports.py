"""Which way imports go: the contracts in pyproject.toml."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
OPEN = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(cache_dir=None))"


def test_every_contract_about_imports_is_kept():
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src"), "NO_COLOR": "1"}
    ran = subprocess.run(
        [sys.executable, "-c", OPEN], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    kept = len(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"])
    assert kept >= 5
    assert f"Contracts: {kept} kept, 0 broken" in ran.stdout


def test_asking_for_help_loads_no_web_server_and_no_database():
    script = "import sys; import runpass.cli.main; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src")}
    loaded = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"fastapi", "starlette", "sqlalchemy", "alembic", "granian", "psycopg"} & set(loaded)
