"""A desired state as commands of `bao` or `vault`, ready to be pasted into a shell. Pure."""

import json
import shlex
from collections.abc import Mapping
from typing import Any

from runpass.vault.desired import DesiredState, config_path, namespace_requests, role_path


def as_bao_commands(state: DesiredState, binary: str = "bao") -> str:
    """Give a shell script that makes `state` with the operator's own token and address (`BAO_ADDR`, `BAO_TOKEN`).

    Written for an empty Vault. SECURITY: it stops at the first command that fails, such as enabling what is there
    already: going on would take over an auth method that trusts somebody else. It runs in a subshell, so that pasting
    it does not end the shell it is pasted into. Both command lines, `bao` and `vault`, know every command in it.
    """
    here = state.namespace
    blocks = [
        _command(binary, request.namespace, "namespace", "create", request.path.removeprefix("sys/namespaces/"))
        for request in namespace_requests(here)
    ]
    auth, kv = state.auth, state.kv
    blocks.append(
        _command(binary, here, "auth", "enable", f"-path={auth.path}", f"-description={auth.description}", "jwt")
    )
    blocks.append(_write(binary, here, config_path(state), auth.config.parameters()))
    if kv is not None:
        options = (f"-path={kv.path}", f"-version={kv.version}", f"-description={kv.description}")
        blocks.append(_command(binary, here, "secrets", "enable", *options, "kv"))
    blocks += [
        _command(binary, here, "policy", "write", policy.name, "-") + _heredoc(policy.text) for policy in state.policies
    ]
    blocks += [_write(binary, here, role_path(state, role), role.parameters()) for role in state.roles]
    return "\n\n".join(["(\nset -eu", *blocks, ")"]) + "\n"


def _write(binary: str, namespace: str, path: str, parameters: Mapping[str, Any]) -> str:
    return _command(binary, namespace, "write", path, "-") + _heredoc(json.dumps(parameters, indent=2) + "\n")


def _command(binary: str, namespace: str, *words: str) -> str:
    """Give one quoted command; the CLI wants its options between the subcommand and the first argument."""
    depth = 1 if words[0] == "write" else 2
    subcommand, rest = words[:depth], words[depth:]
    within = [f"-namespace={namespace}"] if namespace else []
    return shlex.join([binary, *subcommand, *within, *rest])


def _heredoc(text: str) -> str:
    """Give the text as the command's standard input, quoted so that the shell looks at nothing in it."""
    lines = text.splitlines()
    word = "END"
    while word in lines:
        word += "_"
    return f" <<'{word}'\n{text}{'' if text.endswith(chr(10)) else chr(10)}{word}"
