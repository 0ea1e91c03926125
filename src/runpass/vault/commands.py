"""A desired state as commands of `bao` or `vault`, ready to be pasted into a shell. Pure."""

import json
import shlex
from collections.abc import Mapping
from typing import Any

from runpass.vault.desired import DesiredState, config_path, kv_namespace, namespace_requests, namespaces, role_path


def as_bao_commands(state: DesiredState, binary: str = "bao") -> str:
    """Give a shell script that makes `state` with the operator's own token and address (`BAO_ADDR`, `BAO_TOKEN`).

    Written for an empty Vault. SECURITY: it stops at the first command that fails, such as enabling what is there
    already: going on would take over an auth method that trusts somebody else. It runs in a subshell, so that pasting
    it does not end the shell it is pasted into. Both command lines, `bao` and `vault`, know every command in it.
    """
    here = state.namespace
    blocks = [
        _command(binary, request.namespace, "namespace", "create", request.path.removeprefix("sys/namespaces/"))
        for request in namespace_requests(*namespaces(state))
    ]
    auth = state.auth
    tuned = () if auth.token_type is None else (f"-token-type={auth.token_type}",)
    options = (f"-path={auth.path}", f"-description={auth.description}", *tuned)
    blocks.append(_command(binary, here, "auth", "enable", *options, "jwt"))
    blocks.append(_write(binary, here, config_path(state), auth.config.parameters()))
    for kv in state.kv_mounts:
        options = (f"-path={kv.path}", f"-description={kv.description}", f"-version={kv.version}")
        blocks.append(_command(binary, kv_namespace(state, kv), "secrets", "enable", *options, "kv"))
    blocks += [
        _command(binary, here, "policy", "write", policy.name, "-") + heredoc(policy.text) for policy in state.policies
    ]
    blocks += [_write(binary, here, role_path(state, role), role.parameters()) for role in state.roles]
    return "\n\n".join(["(\nset -eu", *blocks, ")"]) + "\n"


def _write(binary: str, namespace: str, path: str, parameters: Mapping[str, Any]) -> str:
    return _command(binary, namespace, "write", path, "-") + heredoc(json.dumps(parameters, indent=2) + "\n")


def _command(binary: str, namespace: str, *words: str) -> str:
    """Give one quoted command; the CLI wants its options between the subcommand and the first argument."""
    depth = 1 if words[0] == "write" else 2
    subcommand, rest = words[:depth], words[depth:]
    within = [f"-namespace={namespace}"] if namespace else []
    return shlex.join([binary, *subcommand, *within, *rest])


def heredoc(text: str) -> str:
    """Give a text as a command's standard input, quoted so that the shell looks at nothing in it."""
    lines = text.splitlines()
    word = "END"
    while word in lines:
        word += "_"
    return f" <<'{word}'\n{text}{'' if text.endswith(chr(10)) else chr(10)}{word}"
