# The only door: every target works in a fresh clone, because each one makes .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
NODE_TESTS := tests/npm/node_modules/.installed
NODE_BENCH := bench/npm/node_modules/.installed
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help dev demo up fix lint types imports unit test check bench chaos fuzz openapi docs lock

help: ## list these targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

dev: $(STAMP) ## make .venv and install runpass with everything a developer needs

$(STAMP): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "runpass needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Python's venv module is missing; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV): about a minute"
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
	@echo 'Ready. To use it from here: export PATH="$(CURDIR)/$(BIN):$$PATH"'

%/node_modules/.installed: %/package-lock.json
	@if command -v npm >/dev/null; then npm ci --prefix $* --silent --ignore-scripts --no-audit --no-fund && touch $@; \
	else echo "node and npm are missing: what needs them in $* is left out"; fi

demo: $(STAMP) ## walk the whole guide on a real OpenBao, throw-away
	$(BIN)/runpass demo

up: $(STAMP) ## run server, runner and OpenBao on this machine, for keeps
	$(BIN)/runpass up

fix: $(STAMP) ## format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(STAMP) ## formatting and style
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(STAMP) ## mypy, strict
	$(BIN)/mypy

imports: $(STAMP) ## which way imports go
	$(BIN)/lint-imports

unit: $(STAMP) ## unit and surface tests: no services needed
	$(BIN)/python -m pytest tests/unit tests/surface

test: $(STAMP) $(NODE_TESTS) ## everything, on a real OpenBao, a real PostgreSQL and a real browser
	$(BIN)/python -m pytest -n 2 --dist worksteal

check: lint types imports unit ## all that must be clean before a commit

bench: $(STAMP) $(NODE_BENCH) ## measure: a table and bench/results.json
	$(BIN)/python -m bench

chaos: $(STAMP) ## crashes at length: ten minutes of rotations, 200 deployments under failing parts
	CHAOS_SECONDS=600 CHAOS_DEPLOYMENTS=200 $(BIN)/python -m pytest tests/chaos -s

fuzz: $(STAMP) ## property tests, logins against OpenBao, and schemathesis at length
	FUZZ_EXAMPLES=1000000 $(BIN)/python -m pytest tests/surface/test_token_fuzz.py --timeout=21600
	$(BIN)/python -m pytest tests/unit tests/vault/explain tests/vault/setup/test_declarations.py tests/system/test_schemathesis.py -n 2 --hypothesis-profile=fuzz --timeout=7200

openapi: $(STAMP) ## write openapi.json from the code
	$(BIN)/runpass server --print-openapi > openapi.json

docs: $(STAMP) ## write the generated parts of the reference documentation
	$(BIN)/python -m runpass.cli.reference

lock: $(STAMP) ## resolve the dependencies again
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 \
	  --custom-compile-command "make lock" --extra dev pyproject.toml -o requirements-dev.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 \
	  --custom-compile-command "make lock" --extra all pyproject.toml -o requirements.lock
