# `make help` lists the targets. Everything is installed below this folder, in
# .tools, .venv and .venv-superset, from requirements/ by hash; Debian packages
# (Chromium for the browser tests, Redis) only where they are missing.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
DEMO_DAYS ?= 365
UV := .tools/bin/uv
BIN := .venv/bin
export UV_LINK_MODE ?= hardlink

.PHONY: help
help: ## Show this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(UV): requirements/uv.txt
	@if ! $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then deploy/install-packages python3-venv; fi
	@$(PYTHON) -m venv .tools
	@.tools/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

.venv/.ready: $(UV) requirements/dev.txt pyproject.toml
	@echo "make: installing Ducat into .venv"
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) .venv
	@$(UV) pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements/dev.txt
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q semantic api flows quality dashboards/*.py deploy/demo
	@touch $@

.venv-superset/.ready: $(UV) requirements/superset.txt $(shell find dashboards/plugin -name '*.py' -o -name 'pyproject.toml')
	@echo "make: installing Apache Superset into .venv-superset"
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) .venv-superset
	@$(UV) pip sync --quiet --python .venv-superset/bin/python --require-hashes requirements/superset.txt
	@$(UV) pip install --quiet --python .venv-superset/bin/python --no-deps --no-build-isolation --reinstall ./dashboards/plugin
	@touch $@

EXPLORER := api/graphql/explorer
$(EXPLORER)/dist/explorer.js: $(EXPLORER)/package-lock.json $(EXPLORER)/explorer.jsx $(EXPLORER)/explorer.css
	@if ! command -v npm >/dev/null; then echo "make: no npm: /graphql shows a plain page in GraphiQL's place"; exit 0; fi; \
	echo "make: bundling GraphiQL (npm, some seconds)"; cd $(EXPLORER); \
	if npm ci --silent --ignore-scripts && npm run --silent build -- --log-level=error; then touch dist/explorer.js; \
	else echo "make: npm failed: /graphql shows a plain page in GraphiQL's place; make explorer tries again"; fi

.PHONY: explorer
explorer: $(EXPLORER)/dist/explorer.js ## Bundle GraphiQL for the page at /graphql

.PHONY: setup
setup: .venv/.ready .venv-superset/.ready explorer ## Install Ducat and Superset below this folder

.PHONY: packages
packages: # Debian packages that the browser and Compose tests use
	@command -v npm >/dev/null || deploy/install-packages npm
	@deploy/install-packages chromium docker-compose redis-server

.PHONY: demo
demo: setup ## Run the whole platform on real flights data, until Ctrl-C (DEMO_DAYS=31: shorter)
	@$(BIN)/ducat demo run --days $(DEMO_DAYS)

.PHONY: demo-check
demo-check: setup ## Run the demo, compare ten metrics of every face with hand-written SQL, stop
	@$(BIN)/ducat demo check --days $(DEMO_DAYS)

.PHONY: serve
serve: .venv/.ready ## Serve the metrics of this project
	@$(BIN)/ducat serve

.PHONY: check
check: .venv/.ready ## Format, lint, types, import boundaries, spelling, YAML
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/codespell
	@$(BIN)/yamllint --strict .

.PHONY: format
format: .venv/.ready ## Rewrite the sources as `make check` wants them
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format --quiet .

.PHONY: test
test: packages setup check ## Everything `check` does, then all the tests, with real servers
	@$(BIN)/python -m pytest -n 2 --dist loadgroup

CLIENTS ?=
.PHONY: clients
clients: packages .venv/.ready ## Run real clients against a server on real flights, a line for each (CLIENTS=part of a name)
	@$(BIN)/python -m tests.clients $(CLIENTS)

.PHONY: superset-check
superset-check: packages setup ## Run all that is promised of Superset against a real one, a line for each
	@$(BIN)/python -m tests.e2e.superset

N ?= 20000
.PHONY: soundness
soundness: .venv/.ready ## Compare N random queries with an evaluator that shares no code with the planner
	@$(BIN)/python -m tests.property.soundness $(N)

DIR ?= tests/conformance/cube
.PHONY: conformance
conformance: .venv/.ready ## Run a folder of conformance cases on DuckDB and PostgreSQL (DIR=folder)
	@$(BIN)/python -m tests.conformance $(DIR)

.venv-engines/.ready: $(UV) requirements/dev.txt requirements/engines.txt
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) .venv-engines
	@$(UV) pip sync --quiet --compile-bytecode --python .venv-engines/bin/python --require-hashes requirements/dev.txt requirements/engines.txt
	@$(UV) pip install --quiet --python .venv-engines/bin/python --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: engines
engines: .venv-engines/.ready ## Run the conformance cases on real ClickHouse (chdb) and Spark (needs Java 17)
	@EVERY_CASE=1 .venv-engines/bin/python -m pytest -q tests/engines
	@.venv-engines/bin/python -m tests.engines

.PHONY: bench
bench: .venv/.ready ## Measure planning and execution beside hand-written SQL
	@$(BIN)/python -m tests.bench

COMPILE = $(UV) pip compile --quiet --generate-hashes --python-version 3.11 --custom-compile-command 'make lock'
.PHONY: lock
lock: $(UV) ## Resolve the requirements anew (versions and hashes, no addresses)
	@$(COMPILE) requirements/uv.in -o requirements/uv.txt
	@$(COMPILE) requirements/superset.in -o requirements/superset.txt
	@$(COMPILE) pyproject.toml --all-extras --group dev -o requirements/dev.txt
	@$(COMPILE) --constraint requirements/dev.txt requirements/engines.in -o requirements/engines.txt
	@$(COMPILE) pyproject.toml --extra server --constraint requirements/dev.txt -o requirements/server.txt
	@$(COMPILE) pyproject.toml --extra flows --extra quality --extra dashboards --constraint requirements/dev.txt -o requirements/worker.txt

.PHONY: clean
clean: ## Remove what the targets above made, environments included
	@rm -rf $(EXPLORER)/dist $(EXPLORER)/node_modules .venv .venv-engines .venv-superset .tools .ducat build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
