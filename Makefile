# Every target installs what it needs and no more; nothing else is needed but Python 3.11+ and make.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
WORKERS ?= auto
INSTALL = $(BIN)/python -m pip install --quiet --constraint constraints.txt --editable
export OMP_NUM_THREADS = 1

.PHONY: demo test test-long speed check format docs

demo: $(VENV)/.plain
	$(BIN)/regbench run --suite demo

test: $(VENV)/.test
	$(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 8 -m "not long"

test-long: $(VENV)/.test
	$(BIN)/python -m pytest -m long

speed: $(VENV)/.test
	$(BIN)/regbench speed --commands --demo --trials
	$(BIN)/python -m pytest -s -m long tests/benchmarks/executors/test_scale.py

check: $(VENV)/.dev
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

$(VENV)/.plain: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) .
	touch $@

$(VENV)/.%: $(VENV)/.plain
	$(INSTALL) ".[$*]"
	touch $@
