"""The command line: parse, call, print. One file per command group; no rule lives here.

Owns what a person types and sees, exit codes (`exits`) and the client's settings (`settings`). Does not own what the
commands do: that stands in server, runner, vault and local, and is imported only inside the command that needs it, so
that `runpass --help` is quick and a machine that only runs the runner needs no web server.
"""
