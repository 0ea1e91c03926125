"""The database: engine, schema (a file for each room or part of one), encryption of columns, migrations.

Holds no query of any room.
"""
