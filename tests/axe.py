"""What axe-core finds on a page: breaches of WCAG 2.2 A and AA. It comes from npm, pinned below `tests/npm`."""

from functools import cache
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from services import missing

FILE = Path(__file__).parent / "npm" / "node_modules" / "axe-core" / "axe.min.js"
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
SERIOUS = frozenset({"serious", "critical"})


@cache
def _axe() -> str:
    if not FILE.exists():
        missing("axe-core", "make test installs it with npm: npm ci --prefix tests/npm")
    return FILE.read_text()


def breaches(page: Page) -> list[str]:
    """Give what is serious or critical on a page, one line for each element."""
    page.evaluate(_axe())
    wanted = {"runOnly": {"type": "tag", "values": list(RULES)}, "resultTypes": ["violations"]}
    result: dict[str, Any] = page.evaluate("wanted => axe.run(document, wanted)", wanted)
    return [
        f"{found['id']}: {found['help']}: {node['html'][:200]} ({node.get('failureSummary', '')[:300]})"
        for found in result["violations"]
        if found["impact"] in SERIOUS
        for node in found["nodes"]
    ]
