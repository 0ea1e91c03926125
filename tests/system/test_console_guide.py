"""The whole guide by clicking: from an empty server to a green deployment with a secret of a real OpenBao.

Nothing is done by API or command line but what the pages say: the runner is started and the Vault set up with the very
commands that they show. With `WRITE_SCREENSHOT=1` it draws the pictures of the tutorial in `docs/images/` anew.
"""

import os
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from browser import real_browser, visiting
from programs import RUNPASS, Program, RunningServer, clean_environment, running_server, wait_until
from runpass.local.openbao import DevOpenBao
from runpass.server.tenancy.setting_up import FILE_NAME

IMAGES = Path(__file__).parents[2] / "docs" / "images"
PASSWORD, SECRET = "stapled horses gallop", "battery-of-the-guide"
COMMANDS = 'echo "hello from $ENV0_ENVIRONMENT_NAME"\ntest -n "$DB" && echo "it is $DB"'
ROLE, MOUNT = "guide-by-clicking", "jwt-guide-by-clicking"


@dataclass(frozen=True)
class Guide:
    """A server that nobody has set up, an OpenBao that knows nothing of it, and a browser."""

    server: RunningServer
    openbao: DevOpenBao
    browser: Browser
    directory: Path
    programs: ExitStack

    def bash(self, script: str) -> None:
        """Run what a page shows as the Vault's administrator would: in a shell, with a token of the Vault's."""
        access = {"BAO_ADDR": self.openbao.address, "BAO_TOKEN": self.openbao.root_token.reveal()}
        places = {"PATH": f"{RUNPASS.parent}:{os.environ['PATH']}", "HOME": str(self.directory)}
        command, whole = ["bash", "-euc", script], {**clean_environment(), **access, **places}
        done = subprocess.run(command, env=whole, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def start_runner(self, command: str, token: str) -> None:
        """Start a runner with the command and the token that a page shows."""
        file = self.directory / "join-token"
        file.touch(mode=0o600)
        file.write_text(token)
        program, *arguments = shlex.split(command)
        assert (program, arguments[-1]) == ("runpass", "join-token")
        work = self.programs.enter_context(TemporaryDirectory(prefix="runpass-work-", dir="/var/tmp"))
        Path(work).chmod(0o711)  # other users pass through it
        more = ["--state-dir", str(self.directory / "state"), "--work-dir", work, "--allow-unisolated"]
        log = self.directory / "runner.log"
        runner = Program([*arguments[:-1], str(file), *more], environment=clean_environment(), log=log)
        self.programs.callback(runner.stop)


@pytest.fixture
def guide(tmp_path: Path) -> Iterator[Guide]:
    with ExitStack() as programs:
        openbao = programs.enter_context(DevOpenBao())
        server = programs.enter_context(running_server(tmp_path / "server", log_level="error"))
        yield Guide(server, openbao, programs.enter_context(real_browser()), tmp_path, programs)


def fill(page: Page, fields: Mapping[str, str]) -> None:
    for label, value in fields.items():
        page.get_by_label(label, exact=True).fill(value)


def follow(page: Page, role: str, name: str, heading: str) -> None:
    """Press a link or a button, and see where it leads."""
    page.get_by_role(role, name=name, exact=True).first.click()  # type: ignore[arg-type]
    page.get_by_role("heading", level=1, name=heading, exact=True).wait_for()


def picture(what: Page | Locator, name: str) -> None:
    if os.environ.get("WRITE_SCREENSHOT") == "1":
        what.screenshot(path=IMAGES / name)


def set_up(page: Page, guide: Guide) -> None:
    """Make the organization and its admin, who is signed in then."""
    page.goto("/")
    token = (guide.server.data_dir / FILE_NAME).read_text().strip()
    fill(page, {"Set-up token": token, "Organization": "Acme", "Name": "ann@example.com", "Display name": "Ann"})
    fill(page, {"New password": PASSWORD})
    page.get_by_role("button", name="Set up", exact=True).click()
    page.get_by_role("heading", level=1, name="Acme").wait_for()
    expect(page.locator(".first-steps .next")).to_contain_text("Start a runner")
    picture(page, "first-steps.png")


def let_a_runner_join(page: Page, guide: Guide) -> None:
    page.get_by_role("link", name="Start a runner").click()
    page.get_by_role("button", name="Make a join token").click()
    guide.start_runner(page.locator("#command").inner_text(), page.locator("#token").inner_text())
    page.get_by_role("link", name="Back to the runners").click()

    def has_joined() -> bool:
        page.reload()
        return page.get_by_text("in touch", exact=True).count() == 1

    wait_until(has_joined, "the runner is in touch")


def make_a_credential(page: Page, guide: Guide) -> str:
    """Make the credential, after a mistake that stands at its field; give its page."""
    page.get_by_role("link", name="Credentials", exact=True).first.click()
    page.get_by_role("link", name="New credential").first.click()
    page.get_by_role("link", name="Vault OIDC").click()
    fill(page, {"Name": "the vault", "Address": "vault", "Role Name": ROLE, "JWT Auth Backend Path": MOUNT})
    page.get_by_label("Version").fill("2.0.0")
    page.get_by_role("button", name="Make the credential").click()
    expect(page.locator("#field-address-error")).to_contain_text("must be a URL such as")
    page.get_by_label("Address").fill(guide.openbao.address)
    page.get_by_role("button", name="Make the credential").click()
    expect(page.get_by_role("status")).to_have_text("The credential was made.")
    return page.url.partition("?")[0]


def make_a_project_with_it(page: Page) -> str:
    page.get_by_role("link", name="Projects", exact=True).first.click()
    fill(page, {"Name": "payments"})
    follow(page, "button", "Make the project", "payments")
    project = page.url.partition("?")[0]
    page.get_by_role("link", name="Credentials", exact=True).last.click()
    page.get_by_label("Credential", exact=True).select_option("the vault (VAULT_OIDC)")
    page.get_by_role("button", name="Assign", exact=True).click()
    page.get_by_role("status").wait_for()
    return project


def set_up_the_vault(page: Page, guide: Guide, credential: str) -> None:
    """Run the commands that the credential's page shows, and have a runner test the connection."""
    page.goto(credential)
    page.get_by_text("Command line", exact=True).click()
    picture(page.locator(".set-up"), "vault-set-up.png")
    guide.bash(page.locator("#set-up-bao").inner_text())
    guide.bash(f"bao kv put -mount=secrets-for-runpass app password={SECRET}")
    page.get_by_role("link", name="Test connection").click()
    page.get_by_label("Secrets that runs read").fill("secrets-for-runpass/app.password")
    page.get_by_role("button", name="Test the connection").click()
    page.locator("#outcome", has_text="Works").wait_for()


def make_a_template(page: Page) -> None:
    page.get_by_role("link", name="Templates", exact=True).first.click()
    page.get_by_role("link", name="New template").first.click()
    page.get_by_label("Kind").select_option("shell")
    page.get_by_role("button", name="Go on").click()
    page.get_by_label("Name", exact=True).fill("hello")
    page.get_by_label("Commands", exact=True).fill(COMMANDS)
    follow(page, "button", "Make the template", "hello")
    page.get_by_label("Project", exact=True).select_option("payments")
    page.get_by_role("button", name="Attach").click()
    page.get_by_role("status").wait_for()


def deploy(page: Page, project: str) -> None:
    """Give the project a variable that names the secret, make an environment, and see its deployment become green."""
    page.goto(f"{project}/variables")
    page.locator("#field-name").fill("DB")
    page.locator("#field-value").fill("${vault:secrets-for-runpass/app.password}")
    page.get_by_role("button", name="Make the variable").click()
    page.get_by_role("status").wait_for()
    page.goto(project)
    page.get_by_role("link", name="New environment").first.click()
    page.get_by_label("Name", exact=True).fill("production")
    page.get_by_label("Template").select_option("hello")
    follow(page, "button", "Make the environment", "Deployment of production")
    page.locator("#status", has_text="Succeeded").wait_for()
    text = page.locator("#steps").text_content() or ""
    assert "hello from production" in text
    assert "it is ***" in text
    assert SECRET not in page.content()
    card = page.locator(".pass")
    card.get_by_text("Revoked", exact=True).first.wait_for()
    assert ROLE in card.inner_text()
    expect(page.get_by_text("Nothing was said yet.")).to_have_count(0)
    page.set_viewport_size({"width": 1280, "height": 1500})
    page.evaluate("scrollTo(0, 0)")
    picture(page, "pass.png")


def nothing_is_left(page: Page) -> None:
    """See that no Vault token is left; the job's own identity token ends with its time alone."""
    page.get_by_role("link", name="Outstanding", exact=True).first.click()
    for caption in ("Logins that gave a token, whose run is over", "Logins that may have given a token"):
        expect(page.get_by_role("table", name=caption)).to_have_count(0)
    page.get_by_role("link", name="runpass", exact=True).click()
    expect(page.get_by_role("table")).to_contain_text("payments / production")
    expect(page.get_by_role("heading", name="First steps"), "they are done").to_have_count(0)


@pytest.mark.timeout(300)
def test_from_an_empty_server_to_a_green_deployment(guide: Guide):
    with visiting(guide.browser, guide.server.url) as (page, complaints):
        set_up(page, guide)
        let_a_runner_join(page, guide)
        credential = make_a_credential(page, guide)
        assert all("422" in item for item in complaints.take())
        project = make_a_project_with_it(page)
        set_up_the_vault(page, guide, credential)
        make_a_template(page)
        deploy(page, project)
        nothing_is_left(page)
