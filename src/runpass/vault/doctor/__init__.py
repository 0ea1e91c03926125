"""Finds out, step by step, why a run could not log in to a Vault and read its secrets, and says what to do next.

Owns: the ordered checks (`diagnosis.CHECKS`), each with a verdict, what was seen and the next step.
Does not own: minting of the probing tokens (the control plane does), nor where the results go.
Nothing here prints or keeps a token or a value of a secret; every token that a login gives is revoked.
"""
