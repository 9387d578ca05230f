"""Fixtures that tests of more than one package share."""

pytest_plugins = ["tests.postgres"]
