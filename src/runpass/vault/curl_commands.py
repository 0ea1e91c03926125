"""A desired state as `curl` commands, ready to be pasted into a shell. Pure."""

import json
import shlex

from runpass.vault import paths
from runpass.vault.commands import heredoc
from runpass.vault.desired import DesiredState, Request, requests

_HEAD = """(
set -eu
umask 077
: "${VAULT_ADDR:?}" "${VAULT_TOKEN:?}"
token=$(mktemp)
trap 'rm -f "$token"' EXIT
printf 'X-Vault-Token: %s\\n' "$VAULT_TOKEN" >"$token"
send() {
  curl --fail-with-body --silent --show-error --request POST --header "@$token" "$@"
}"""


def as_curl_commands(state: DesiredState) -> str:
    """Give a shell script that makes `state` with the operator's own token and address (`VAULT_ADDR`, `VAULT_TOKEN`).

    Written for an empty Vault. SECURITY: the token is in a file that only its owner may read, since arguments can be
    seen by everybody on the machine. It stops at the first request that is refused, such as enabling what is there
    already: going on would take over an auth method that trusts somebody else.
    """
    return "\n\n".join([_HEAD, *(_command(request) for request in requests(state)), ")"]) + "\n"


def _command(request: Request) -> str:
    within = ["--header", f"X-Vault-Namespace: {request.namespace}"] if request.namespace else []
    body = heredoc(json.dumps(dict(request.data), indent=2) + "\n")
    url = f'"$VAULT_ADDR"/v1/{shlex.quote(paths.encoded(request.path))}'
    return f"{shlex.join(['send', *within, '--data-binary', '@-'])} {url}{body}"
