# Every target makes the environment if it is not there; nothing else is needed but Python 3.11+ and make.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
STAMP = $(VENV)/.installed
WORKERS ?= auto
export OMP_NUM_THREADS = 1

.PHONY: demo test test-long check format

demo: $(STAMP)
	$(BIN)/python -m benchmarks.run

test: $(STAMP)
	$(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 8 -m "not long"

test-long: $(STAMP)
	$(BIN)/python -m pytest -m long

check: $(STAMP)
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $(STAMP)
