"""The documentation says only what is there: links resolve, settings exist, every refusal is explained."""

import json
import re
from functools import cache
from pathlib import Path

import pytest

from runpass.cli.settings import FILE_VARIABLE as CLIENT_FILE
from runpass.cli.settings import ClientSettings
from runpass.protocol import variable_names
from runpass.runner.mask_file import VARIABLE as MASK_VARIABLE
from runpass.runner.outputs import VARIABLE as OUTPUT_VARIABLE
from runpass.runner.settings import FILE_VARIABLE as RUNNER_FILE
from runpass.runner.settings import RunnerSettings
from runpass.server.settings import FILE_VARIABLE as SERVER_FILE
from runpass.server.settings import ServerSettings
from runpass.vault import errors, refusals

ROOT = Path(__file__).parents[2]
PAGES = sorted(path for place in ("*.md", "docs/**/*.md", "examples/**/*.md") for path in ROOT.glob(place))
LINK = re.compile(r"(?<!\\)\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
SETTING = re.compile(r"\bRUNPASS_[A-Z][A-Z_]*[A-Z]\b")
FILE_VARIABLES = {SERVER_FILE, RUNNER_FILE, CLIENT_FILE}
OF_A_RUN = {MASK_VARIABLE, OUTPUT_VARIABLE}
by_name = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def prose(text: str) -> str:
    """Give a page without its code, in which brackets mean something else."""
    return CODE.sub("", text)


@cache
def anchors(page: Path) -> set[str]:
    """Give the anchors that a page's headings make, as GitHub makes them."""
    without_fences = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(without_fences))
    return {heading.strip().replace(" ", "-") for heading in headings}


def broken(page: Path) -> list[str]:
    """Give the links of a page that lead nowhere."""
    found = []
    for link in LINK.findall(prose(page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            found.append(link)
    return found


def test_the_measured_numbers_are_those_of_the_committed_run():
    """What lists may cost on a full database, and a caller beside 200 wrong logins: 1.5 and 2 times as much."""
    page = (ROOT / "docs/reference/limits.md").read_text(encoding="utf-8")
    lists = json.loads((ROOT / "bench/results.json").read_text(encoding="utf-8"))["lists"]
    logins = {kind: found.pop("get project, beside 200 wrong logins")["p95Ratio"] for kind, found in lists.items()}
    grown = {kind: max(row["p95Ratio"] for row in found.values()) for kind, found in lists.items()}
    for name, ratios, most in (("almost empty", grown, 1.5), ("alone", logins, 2)):
        assert max(ratios.values()) <= most
        assert f"compared with {name} | {ratios['SQLite']} | {ratios['PostgreSQL']} |" in page
    assert {f"compares {len(found)} lists" in page for found in lists.values()} == {True}


@by_name
def test_every_link_leads_somewhere(page):
    assert broken(page) == []


@by_name
def test_every_setting_that_is_mentioned_exists(page):
    models = (ServerSettings, RunnerSettings, ClientSettings)
    known = {f"RUNPASS_{name.upper()}" for model in models for name in model.model_fields} | FILE_VARIABLES | OF_A_RUN
    assert set(SETTING.findall(page.read_text(encoding="utf-8"))) - known == set()


def test_every_page_below_docs_can_be_reached_from_the_index():
    reached: set[Path] = set()
    waiting = [ROOT / "docs" / "index.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md" or not page.exists():
            continue
        reached.add(page)
        links = LINK.findall(prose(page.read_text(encoding="utf-8")))
        waiting += [(page.parent / link.partition("#")[0]).resolve() for link in links if "://" not in link]
    assert [str(page.relative_to(ROOT)) for page in PAGES if "docs" in page.parts and page not in reached] == []


def test_every_reason_of_a_refusal_is_explained_with_the_words_that_tell_it():
    text = (ROOT / "docs" / "how-to" / "troubleshoot-a-refusal.md").read_text(encoding="utf-8")
    reasons = (*refusals.REASONS, refusals.AuthMountNotFound, refusals.OtherReason)
    words = [word for reason in reasons for word in (f"`{reason.code}`", *(f"`{text}`" for text in reason.phrases))]
    assert [word for word in words if word not in text] == []


def test_every_error_of_a_vault_is_explained():
    text = (ROOT / "docs" / "how-to" / "troubleshoot-a-refusal.md").read_text(encoding="utf-8")
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.VaultFailure)]
    assert [kind.code for kind in kinds if f"`{kind.code}`" not in text] == []


def test_every_reserved_name_and_every_control_is_listed():
    text = (ROOT / "docs" / "reference" / "deployment-environment.md").read_text(encoding="utf-8")
    names = {
        *variable_names.RESERVED_NAMES,
        *variable_names.RESERVED_PREFIXES,
        variable_names.RESERVED_SUFFIX,
        *variable_names.CONTROLS,
    }
    assert [name for name in sorted(names) if f"`{name}`" not in text] == []
