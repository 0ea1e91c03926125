"""Everything on one machine: a real OpenBao, server and runner as child processes.

Owns: `demo` and `up`; finding, checking and running the OpenBao binary; starting our own programs. Does not own: what
is set up in the Vault (`runpass.vault`), or what the programs do.
"""
