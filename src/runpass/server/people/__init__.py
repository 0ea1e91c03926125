"""People and keys as an admin sees them: inviting, roles, joining, the pages of API keys.

Who is calling is `access`; this room changes whom it finds.
"""
