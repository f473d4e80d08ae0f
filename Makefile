# Recipes for people and for CI alike. `make help` lists them.

# The first interpreter that fits; override with `make setup PYTHON=/path/to/python3.13`.
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null \
	&& echo $$python && break; done)
UV     ?= $(firstword $(wildcard .venv/bin/uv) uv)
DATA   ?= ./data
PORT   ?= 8000
ARGS   ?=

VENV     := .venv
PIP      := $(VENV)/bin/python -m pip --disable-pip-version-check --no-input -qq
LOCKED   := $(VENV)/.locked-packages
SETUP    := $(VENV)/.keystead
NPM_CLIENTS := tests/clients/packages
NPM_ENGINES := tests/engines/packages
NPM_INSTALLED := $(patsubst %,%/node_modules/.package-lock.json,$(NPM_CLIENTS) $(NPM_ENGINES))
TEST_PROCESSES := 4
CHROMIUM := $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)
INITDB := $(firstword $(wildcard /usr/lib/postgresql/*/bin/initdb) $(shell command -v initdb))

# Debian packages, as root: quiet unless it fails.
debian = log="$$(mktemp)"; { apt-get -qq update && apt-get -qq install --yes --no-install-recommends $(1); } >"$$log" 2>&1 \
	|| { cat "$$log" >&2; exit 1; }; rm -f "$$log"

export DEBIAN_FRONTEND := noninteractive
export PIP_ROOT_USER_ACTION := ignore
# Some images say so; every start of a process would then compile all modules anew.
unexport PYTHONDONTWRITEBYTECODE
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup run test checks lint fix types layers tests quick faults bench lock test-packages venv-package clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  PYTHON=$(or $(PYTHON),none found)  DATA=$(DATA)  PORT=$(PORT)  ARGS= (more arguments for run, tests, bench, lock)"

setup: $(SETUP) ## Make .venv with the keystead command in it, from the lock
	@:

run: setup ## Start Keystead on http://localhost:8000 with a demo installation in ./data
	@exec $(VENV)/bin/keystead demo --data $(DATA) --port $(PORT) $(ARGS)

test: setup test-packages checks tests ## Everything: what the tests need, then lint, types, import layers and tests

checks: lint types layers

lint: setup ## Check style and format with ruff
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

fix: setup ## Repair what ruff can repair, and format
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

types: setup ## Check types with mypy
	$(VENV)/bin/mypy

layers: setup ## Check who imports whom
	$(VENV)/bin/lint-imports --no-logo

# Without Chromium, Node, sqld or PostgreSQL (possible only when not root: see test-packages) their tests are left out,
# and said to be.
tests: setup ## Run the tests (ARGS='tests/login -k password' for some of them)
	@marks=("not long" $(MARKS)); \
	command -v chromium chromium-browser google-chrome >/dev/null || marks+=("not browser"); \
	[ -d $(NPM_CLIENTS)/node_modules ] || marks+=("not npm"); \
	[ -d $(NPM_ENGINES)/node_modules ] || marks+=("not libsql"); \
	ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || marks+=("not postgresql"); \
	chosen="$${marks[*]/#/and }"; chosen="$${chosen#and }"; \
	$(VENV)/bin/pytest --numprocesses $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder -m "$$chosen" $(ARGS)

quick: ## As tests, without those that start processes, engines and browsers by the dozen
	@$(MAKE) --no-print-directory tests MARKS='"not slow"'

faults: setup test-packages ## Faults and fleets that take minutes (ARGS='-k f35'; FAULTS_SEED, FAULTS_SECONDS)
	@$(VENV)/bin/pytest -m long --capture no $(ARGS)

bench: setup ## Measure: the workloads of bench/
	$(VENV)/bin/python -m bench $(ARGS)

# No address of an index or a file goes into a lock, so that it is good for everybody's. The second one is a part of the
# first: what the server needs at run time, for images (deploy/Containerfile).
COMPILE = $(UV) pip compile --quiet --python-version 3.11 --universal --generate-hashes --no-annotate --no-header \
	--no-emit-index-url --no-emit-find-links --no-emit-package keystead-sdk --no-emit-package keystead-hrana

lock: ## Write the lock files anew with uv (ARGS=--upgrade for newer versions)
	printf './sdk\n./hrana\n' | $(COMPILE) - pyproject.toml --extra dev --output-file requirements.lock $(ARGS) >/dev/null
	printf './sdk\n./hrana\n' | $(COMPILE) - pyproject.toml --extra postgresql --constraint requirements.lock --output-file deploy/runtime.lock >/dev/null

clean: ## Remove .venv and caches; ./data stays
	rm -rf $(VENV) $(NPM_CLIENTS)/node_modules $(NPM_ENGINES)/node_modules .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

# ---- how the environment is made -------------------------------------------------------------------------------------
# Two stamps, so that each is made again only when what it stands for changed.

$(SETUP): $(LOCKED) pyproject.toml sdk/pyproject.toml hrana/pyproject.toml
	@$(PIP) install --no-deps --no-build-isolation -e sdk -e hrana -e .
	@touch $@

$(LOCKED): requirements.lock | $(VENV)/bin/pip
	@echo "Installing the locked packages into $(VENV) (about a minute the first time)"
	@$(PIP) install --require-hashes -r requirements.lock
	@touch $@

$(VENV)/bin/pip:
	@[ -n "$(PYTHON)" ] || { echo "Keystead needs Python 3.11, 3.12 or 3.13; name one with PYTHON=/path/to/python." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || $(MAKE) --no-print-directory venv-package
	@$(PYTHON) -m venv $(VENV)

# Debian keeps the part of Python that makes environments in a package of its own.
venv-package:
	@package="$$($(PYTHON) -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"; \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
		echo "Python's venv module is missing. As root: apt-get install $$package" >&2; exit 1; fi; \
	echo "Installing $$package"; \
	$(call debian,"$$package")

test-packages: $(NPM_INSTALLED)
	@:
ifeq ($(CHROMIUM),)
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing Chromium for the browser tests"; \
		$(call debian,chromium fonts-dejavu-core); \
	else \
		echo "Chromium is missing, so the browser tests are skipped. As root: apt-get install chromium fonts-dejavu-core" >&2; \
	fi
endif
ifeq ($(INITDB),)
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing PostgreSQL for the tests of its back end"; \
		$(call debian,postgresql); \
	else \
		echo "PostgreSQL is missing, so its tests are skipped. As root: apt-get install postgresql" >&2; \
	fi
endif

# Clients in JavaScript that the tests drive, and a libSQL server: from their locks, without running anything of theirs.
$(NPM_INSTALLED): %/node_modules/.package-lock.json: %/package-lock.json
	@if ! command -v npm >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing Node for the tests"; \
		$(call debian,nodejs npm); \
	fi; \
	if command -v npm >/dev/null; then \
		echo "Installing what npm has for the tests: $*"; \
		npm ci --silent --ignore-scripts --prefix $*; touch $@; \
	else \
		echo "npm is missing, so the tests with $* are skipped. As root: apt-get install nodejs npm" >&2; \
	fi
