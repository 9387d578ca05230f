# Everything runs through uv. Where none is on PATH, one is put into .venv-uv, a private virtual environment.

PYTHON ?= python3
UV := $(or $(shell uv --version >/dev/null 2>&1 && command -v uv),.venv-uv/bin/uv)
RUN := $(UV) run --locked

# One PostgreSQL database per worker; WORKERS=0 runs in one process (for pdb, or to read prints).
WORKERS ?= 2
# Which package's tests: core, pg, litestar, fastapi, handlers, redis, dashboard; empty for all.
PKG ?=
# Anything more for the command: make test ARGS="-k timeout", make demo ARGS=--check
ARGS ?=
# What the watching targets watch.
ROOMS := $(wildcard packages tests examples)

.DEFAULT_GOAL := help
.PHONY: help demo dev test nightly chaos bench test-watch check typecheck docs security

help: ## List these targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: $(UV) ## Start the example application on a throw-away PostgreSQL (ARGS=--check: walk it once and exit)
	$(RUN) detent demo $(ARGS)

dev: $(UV) ## Start the example application and restart it whenever a source file changes
	$(RUN) --with watchfiles watchfiles --filter python "detent demo $(ARGS)" $(ROOMS)

test: $(UV) ## Run all tests (PKG=core: one package; WORKERS=0: one process; ARGS=...: more for pytest)
	$(RUN) pytest -n $(WORKERS) $(if $(PKG),packages/$(PKG)/tests) $(ARGS)

nightly: $(UV) ## Run the tests that draw their examples with 2,000 of them instead of 100, the reader's with 50,000 instead of 2,500
	$(RUN) pytest -n $(WORKERS) --hypothesis-profile=nightly tests/test_side_by_side.py tests/test_durable_side_by_side.py tests/mermaid packages/core/tests/definition packages/core/tests/notation $(ARGS)

chaos: $(UV) ## Kill workers, crash the server and cut connections, and count what is left (minutes); then a herd of timeouts, and latency
	$(RUN) python -m tests.chaos.chaos $(ARGS)
	$(RUN) python -m tests.chaos.herd
	$(RUN) python -m tests.chaos.latency

bench: $(UV) ## Measure on a throw-away PostgreSQL, beside pgbench and the peers (ARGS="--quick": a minute or two; ARGS=--help)
	$(RUN) python -m benchmarks $(ARGS)

test-watch: $(UV) ## Run the tests again whenever a file changes (PKG=core: one package)
	$(RUN) --with watchfiles watchfiles "pytest $(if $(PKG),packages/$(PKG)/tests) $(ARGS)" $(ROOMS)

check: $(UV) ## Check format, lint, types and the import rule
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) mypy
	$(RUN) lint-imports --no-logo

typecheck: $(UV) ## Check the types only
	$(RUN) mypy $(ARGS)

docs: $(UV) ## Build the documentation into site/
	$(RUN) zensical build --clean $(ARGS)

security: $(UV) ## Ask the advisory database about every locked dependency
	$(UV) audit --locked $(ARGS)

# A Debian without python3-venv cannot make a virtual environment; there pip fills the folder itself.
.venv-uv/bin/uv:
	@echo "No uv found: installing it into .venv-uv"
	@rm -rf .venv-uv
	@if $(PYTHON) -m venv .venv-uv >/dev/null 2>&1; then .venv-uv/bin/python -m pip install --quiet --disable-pip-version-check uv; \
	else rm -rf .venv-uv; $(PYTHON) -m pip install --quiet --disable-pip-version-check --target .venv-uv uv; fi
