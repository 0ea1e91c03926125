"""Relying parties: services outside that ask whether a run's token still counts (RFC 7662).

Owns: who they are, their secrets, and the one door at which they ask. A Vault is none: it checks tokens by itself.
"""
