# Every target works on a fresh machine with Python 3.11 or newer, and makes .venv itself.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
NAME ?= speed

.PHONY: demo test check bench services clean

.venv/ready: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable '.[train,postgres,parquet,fast]' --group dev
	touch .venv/ready

demo: .venv/ready
	$(BIN)/watchkeeper demo $(ARGS)

test: .venv/ready
	$(BIN)/python -m pytest $(ARGS)

check: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/ready
	$(BIN)/python -m tests.bench.$(NAME) $(ARGS)

services: .venv/ready
	$(BIN)/python -m tests.services --install

clean:
	rm -rf .venv build dist src/*.egg-info
