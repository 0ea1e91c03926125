"""The audit trail once it is written: reading, verifying, pruning, exporting.

Appends nothing itself but what it does: `audit` does that, below everybody who changes anything. A chain is what
belongs to one organization, or to the instance.
"""
