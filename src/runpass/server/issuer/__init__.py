"""The issuer: signing keys, claims, minting, and the two documents that relying parties fetch.

Owns: everything that makes a workload identity token true. Knows nothing of deployments, projects or Vaults: it is
handed facts and gives a token. Specifications: RFC 7515, 7517, 7518, 7519, OpenID Connect Discovery 1.0.
"""
