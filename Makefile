# One list of commands for people, hooks and CI. `make` alone prints it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
PYTHON := $(VENV)/bin/python
PIP := $(PYTHON) -m pip --disable-pip-version-check --no-input -qq
# ARGS go to the tool: make test ARGS="tests/unit -x"
ARGS ?=

.PHONY: help install demo serve test lint types imports check bench docs \
	matrix services faults machine mutation browser wheel clean

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The first Python that is new enough makes the virtual environment.
$(PYTHON):
	@for candidate in python3 python3.13 python3.12 python3.11 python; do \
	  if $$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "Making $(VENV) with $$($$candidate -V)"; exec $$candidate -m venv $(VENV); \
	  fi; \
	done; echo "Python 3.11 or newer was not found." >&2; exit 1

$(VENV)/.installed-dev: pyproject.toml | $(PYTHON)
	@echo "Installing the app and its development tools"
	@$(PIP) install --editable '.[dev]'
	@touch $@ $(VENV)/.installed-demo

$(VENV)/.installed-demo: pyproject.toml | $(PYTHON)
	@echo "Installing the app"
	@$(PIP) install --editable '.[demo]'
	@touch $@

install: $(VENV)/.installed-dev ## Make the virtual environment and install everything

demo: $(VENV)/.installed-demo ## Tour the whole app against the emulator, then keep serving
	@$(PYTHON) -m example_project.demo $(ARGS)

serve: $(VENV)/.installed-demo ## Serve the example project against the emulator, no tour
	@$(PYTHON) -m example_project.demo --serve $(ARGS)

test: install ## Run every test that needs no server
	@$(PYTHON) -m pytest -m 'not service and not browser' $(ARGS)

lint: install ## Check lint and formatting
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .

types: install ## Check types
	@$(PYTHON) -m mypy

imports: install ## Check that imports only go down
	@$(VENV)/bin/lint-imports

docs: install ## Check that every link and every table of the documentation holds
	@$(PYTHON) -m pytest -q -p no:cacheprovider tests/architecture/test_docs_*.py

check: lint types imports docs ## Everything that is not about behavior
	@DJANGO_SETTINGS_MODULE=tests.settings $(PYTHON) -m django makemigrations --check --dry-run
	@$(PYTHON) -m pytest tests/architecture -q $(ARGS)

bench: install ## Run every benchmark once
	@$(PIP) install --editable '.[bench]'
	@for file in $$(grep -l __main__ benchmarks/*.py); do \
	  echo "== $$file"; $(PYTHON) -m "benchmarks.$$(basename "$$file" .py)" $(ARGS); \
	done

matrix: install ## Test each Python found with each supported Django
	@.ci/matrix $(ARGS)

services: install ## Test with PostgreSQL, MariaDB, Redis and RabbitMQ on this machine
	@.ci/services $(ARGS)

faults: install ## Run the tests that kill, race and replay
	@$(PYTHON) -m pytest tests/faults $(ARGS)

machine: install ## Drive the state machine through 20,000 sequences
	@MACHINE_SEQUENCES=20000 $(PYTHON) -m pytest -m machine $(ARGS)

mutation: install ## Change the code in small ways and see whether a test notices
	@$(PIP) install --editable '.[mutation]'
	@.ci/mutation $(ARGS)

browser: install ## Test the pages in Chromium
	@$(PIP) install --editable '.[browser]'
	@$(PYTHON) -m pytest -m browser $(ARGS)

wheel: install ## Build the wheel and run the tests against it, installed
	@.ci/wheel $(ARGS)

clean: ## Remove what the other commands made
	@rm -rf $(VENV) .venvs build dist mutants .mypy_cache .ruff_cache .pytest_cache .hypothesis
