"""Fixtures that tests of more than one package share, and how hard Hypothesis tries."""

import os

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.postgres"]

# Timings never decide a test: a slow machine is no failure. CI draws the same examples each time; `make nightly` draws new ones.
settings.register_profile(
    "usual",
    max_examples=100,
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)
settings.register_profile("nightly", settings.get_profile("usual"), max_examples=2000, derandomize=False)
settings.load_profile("usual")
