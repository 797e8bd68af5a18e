# make demo   one small run, its report and where its files lie
# make test   lint, types and the quick tests
# Both set themselves up in .venv from requirements.lock; PYTHON names another interpreter (>= 3.11).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO := results/demo
PYTEST_ARGS ?=

.PHONY: help demo test test-all lint types setup clean

help:
	@sed -n '1,3s/^# *//p' $(firstword $(MAKEFILE_LIST))

demo: $(STAMP)
	$(BIN)/cairn run demo --out $(DEMO) --trace
	@echo
	@echo "Look at $(DEMO)/: the plots are the PNG files; timeline.json.gz opens in https://ui.perfetto.dev"
	@echo "Run it yourself: $(BIN)/cairn run demo --out $(DEMO) --trace     More: $(BIN)/cairn --help"

test: lint types
	$(BIN)/python -m pytest -n 2 -m "not slow" $(PYTEST_ARGS)

test-all: lint types
	$(BIN)/python -m pytest -n 2 $(PYTEST_ARGS)

lint: $(STAMP)
	$(BIN)/python -m ruff check .

types: $(STAMP)
	$(BIN)/python -m mypy

setup: $(STAMP)

# The stamp is younger than what it was made from exactly when .venv holds it.
$(STAMP): requirements.lock pyproject.toml
	@command -v "$(PYTHON)" >/dev/null 2>&1 || { \
	  echo "Cairn needs Python 3.11 or newer, and '$(PYTHON)' was not found; name one: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Cairn needs Python 3.11 or newer; '$(PYTHON)' is $$("$(PYTHON)" --version 2>&1). Name another: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@if test -x $(BIN)/python && ! $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	  echo "$(VENV) holds a Python that does not start or is older than 3.11; remove the folder and call make again" >&2; exit 1; fi
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { echo "Setting up $(VENV) (once) ..."; "$(PYTHON)" -m venv $(VENV); } || { \
	  echo "'$(PYTHON) -m venv' failed; on Debian and Ubuntu it needs the package python3-venv" >&2; exit 1; }
	@echo "Installing requirements.lock into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

clean:
	rm -rf build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
