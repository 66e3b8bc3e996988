"""Everything SQL: the Postgres metadata index."""
