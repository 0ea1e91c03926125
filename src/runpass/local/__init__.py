"""Everything on one machine: a real OpenBao as a child process, beside server and runner.

Owns: finding, checking and running the OpenBao binary. Does not own: what is set up in it (`runpass.vault`).
"""
