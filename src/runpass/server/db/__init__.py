"""The database: engine, schema (one file per room), encryption of columns, migrations. Holds no query of any room."""
