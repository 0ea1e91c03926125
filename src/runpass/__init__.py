"""runpass: an OIDC issuer, a control plane and a runner that give every deployment run its own identity.

The package's top level is the architecture (ARCHITECTURE.md): two programs (`server`, `runner`), the one contract
between them (`protocol`), the one outside system (`vault`), and the one command line (`cli`).
"""

__version__ = "0.1.0"
