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
# Two processes of pytest for each core, because tests also wait; make test ARGS=-n0 runs all in one.
CORES := $(shell getconf _NPROCESSORS_ONLN)
PARALLEL := -n $(shell echo $$((2 * $(CORES)))) --maxprocesses 8 --dist loadgroup
export PARALLEL
# Without bytecode each of the hundred processes that the tests start would compile the package anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install demo serve test lint types imports check bench soak docs site pyright \
	messages coverage matrix services hosts faults properties machine mutation faultsback usechat browser \
	pictures wheel clean

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The first Python that is new enough creates the virtual environment.
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

install: $(VENV)/.installed-dev ## Create the virtual environment and install everything

demo: $(VENV)/.installed-demo ## Show the whole app with the emulator, then keep serving
	@$(PYTHON) -m example_project.demo $(ARGS)

serve: $(VENV)/.installed-demo ## Serve the example project with the emulator, without the tour
	@$(PYTHON) -m example_project.demo --serve $(ARGS)

test: install ## Run every test that needs no server
	@$(PYTHON) -m pytest $(PARALLEL) -m 'not service and not browser and not usechat' $(ARGS)

coverage: install ## Print which branches of the package the quick tests of its rooms reach
	@$(PYTHON) -m pytest $(PARALLEL) tests/unit tests/integration \
	  --ignore=tests/unit/emulator --ignore=tests/integration/emulator \
	  --ignore=tests/integration/admin --ignore=tests/integration/testing \
	  --ignore=tests/integration/rest/test_bad_requests.py --ignore=tests/integration/management \
	  -m 'not service and not slow' --cov $(ARGS)

lint: install ## Check lint and formatting
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .

types: install ## Check types, of the code and of the snippets in the documentation
	@$(PYTHON) -m mypy
	@$(PYTHON) -m tests.snippets build/snippets
	@MYPYPATH=build/snippets/tutorial $(PYTHON) -m mypy build/snippets

pyright: install ## Check the snippets with pyright, which needs Node.js
	@$(PYTHON) -m tests.snippets build/snippets
	@npx --yes pyright@1.1 --project docs/pyrightconfig.json

imports: install ## Check that imports only go down
	@$(VENV)/bin/lint-imports

soak: install ## Measure the memory of a process that streams and polls for 20 minutes
	@$(PYTHON) -m benchmarks.soak $(ARGS)

docs: install ## Check the links, tables and words of the documentation
	@$(PYTHON) -m pytest -q -p no:cacheprovider tests/architecture/test_docs_*.py \
	  tests/architecture/test_words.py

messages: install ## Add new texts to the catalogues of all languages, and compile them
	@$(PYTHON) -m tests.catalogues

site: install ## Build the documentation as a site, into build/site
	@$(PYTHON) -m sphinx --fail-on-warning --keep-going --nitpicky --fresh-env --write-all --quiet \
	  --conf-dir docs . build/site $(ARGS)
	@echo "Open build/site/index.html"

check: lint types imports ## Check everything except behavior
	@DJANGO_SETTINGS_MODULE=tests.settings $(PYTHON) -m django makemigrations --check --dry-run
	@$(PYTHON) -m pytest tests/architecture -q $(ARGS)

bench: install ## Run every benchmark once
	@$(PIP) install --editable '.[bench]'
	@for file in $$(grep -l __main__ benchmarks/*.py); do \
	  echo "== $$file"; $(PYTHON) -m "benchmarks.$$(basename "$$file" .py)" $(ARGS); \
	done

matrix: install ## Test each installed Python with each supported Django (ARGS=--servers: on all servers)
	@.ci/matrix $(ARGS)

services: install ## Test with PostgreSQL, MariaDB, Redis and RabbitMQ on this machine
	@.ci/services $(ARGS)

hosts: install ## Test in sites that have packages which few sites have
	@.ci/hosts $(ARGS)

faults: install ## Run the tests that kill, race and replay
	@$(PYTHON) -m pytest $(PARALLEL) tests/faults $(ARGS)

# Each process would spend 14 seconds on finding out which of all tests these are.
properties: install ## Try properties, state machines, abuse and broken statements with more examples
	@MACHINE_SEQUENCES=500 LYING_SEQUENCES=30 ABUSE_SHARE=1 STATEMENTS_SHARE=8 \
	  $(PYTHON) -m pytest $(PARALLEL) -m 'hypothesis or abuse or statements' --hypothesis-profile=thorough $(ARGS) \
	  $$(grep -rlE 'hypothesis|abuse|mark.statements' tests --include='test_*.py')

machine: install ## Run 20,000 random sequences against the state machine
	@MACHINE_SEQUENCES=20000 LYING_SEQUENCES=2000 $(PYTHON) -m pytest $(PARALLEL) -m machine $(ARGS) \
	  tests/faults/test_machine.py tests/faults/test_lying_machine.py

mutation: install ## Make small errors in the code and count how many the tests notice
	@$(PIP) install --editable '.[mutation]'
	@.ci/mutation $(ARGS)

faultsback: install ## Put mended faults back one at a time and check that a test finds each
	@$(PYTHON) .ci/put_back.py $(ARGS)

usechat: install ## Test the streams with the package ai under Node
	@.ci/usechat $(ARGS)

# Each file has a site of several processes, so one process of pytest for each core is enough.
browser: install ## Test the pages in Chromium
	@$(PIP) install --editable '.[browser]'
	@$(PYTHON) -m pytest $(PARALLEL) -n $(CORES) --dist loadfile -m browser tests/browser $(ARGS)

pictures: install ## Take the pictures of the documentation again, in Chromium
	@$(PIP) install --editable '.[browser]'
	@TEST_PICTURES=docs/images $(PYTHON) -m pytest -q tests/browser/test_admin_tasks.py $(ARGS)

wheel: install ## Build the wheel, install it and run the tests against it
	@.ci/wheel $(ARGS)

clean: ## Remove what the other commands created
	@rm -rf $(VENV) .venvs build dist mutants .mypy_cache .ruff_cache .pytest_cache .hypothesis
