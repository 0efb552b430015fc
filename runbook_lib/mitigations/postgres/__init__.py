"""Changes on PostgreSQL. Each module has `plan` (as reader), `broken` and `run` (as actor, in the applying process)."""
