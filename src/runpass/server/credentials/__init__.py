"""Deployment credentials: which exist, and which one a project gets.

Owns: credentials of organization and project scope, their assignment to projects, and the rule that picks one. The
kinds themselves are the protocol's (`runpass.protocol.credentials`). Uses none of them: that is a runner's work.
"""
