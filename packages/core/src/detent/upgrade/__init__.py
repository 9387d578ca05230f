"""Upgrades: moving live instances from one version of their definition to another."""
