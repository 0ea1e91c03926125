"""Weak spots of a JWT auth method and its roles, each with its reason and its fix. Pure.

Owns: the table of weaknesses (`rules.RULES`), and what they look at (`model.MountFacts`, as a Vault reads it back).
Does not own: reading a Vault; `runpass.vault.lint.reading` does that with an operator's token, nothing else connects.
"""
