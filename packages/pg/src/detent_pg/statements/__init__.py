"""All SQL of the store: functions that answer SQLAlchemy Core statements, built once for each set of tables."""
