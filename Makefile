# The five verbs of this repository. `make demo` and `make test` work in a fresh clone with nothing but Python >= 3.11.
PYTHON ?= python3
VENV   ?= .venv
CLIENTS := .venv-clients
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check
TORCH  := $(shell grep '^torch==' constraints.txt)

export HF_HUB_OFFLINE ?= 1

.PHONY: setup clients check test demo docs constraints clean

setup: $(VENV)/.stamp-dev

# The demo's installation: what the product needs at run time, and the libraries whose docstrings it learns.
$(VENV)/.stamp-runtime: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install --quiet --upgrade "pip>=25.1"
	$(PIP) install --quiet "$(TORCH)"
	$(PIP) install --quiet --constraint constraints.txt --editable ".[demo]"
	@touch $@

# What development adds: tests, linters, types, documentation.
$(VENV)/.stamp-dev: $(VENV)/.stamp-runtime
	$(PIP) install --quiet --constraint constraints.txt --editable ".[demo,files,index,llm,openvino,postgres,qdrant,ray,search,serve]" --group dev --group docs
	@touch $@

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: dialekt needs Python 3.11 or newer, found $$($(PYTHON) --version 2>&1)"; \
	    echo "hint: name one: make setup PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)

clients: $(CLIENTS)/.stamp

# Clients of other projects that want older libraries than ours; the tests talk to the server through them.
$(CLIENTS)/.stamp: tests/serving/clients/requirements.txt | $(VENV)/bin/python
	$(PYTHON) -m venv $(CLIENTS)
	$(CLIENTS)/bin/python -m pip --disable-pip-version-check install --quiet --no-deps --requirement $<
	@touch $@

check: setup
	$(BIN)/ruff check src tests benchmarks docs
	$(BIN)/ruff format --check src tests benchmarks docs
	$(BIN)/mypy
	$(BIN)/lint-imports

# One thread per worker: the tests' models are tiny, and threads of two workers would fight over the cores.
test: check clients
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto

demo: $(VENV)/.stamp-runtime
	$(BIN)/dialekt demo

docs: setup
	$(BIN)/python docs/generate.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Writes the versions that a fresh resolve of everything in pyproject.toml gives; torch without its local suffix.
constraints:
	rm -rf build/constraints && $(PYTHON) -m venv build/constraints
	build/constraints/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	build/constraints/bin/python -m pip install --quiet --editable ".[demo,files,index,llm,openvino,postgres,qdrant,ray,search,serve]" --group dev --group docs --group bench
	build/constraints/bin/python -m pip freeze --exclude-editable | sed 's/+cpu$$//' > constraints.txt
	rm -rf build/constraints

clean:
	rm -rf $(VENV) $(CLIENTS) build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
