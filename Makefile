PYTHON ?= python3
BIN := .venv/bin

.PHONY: help install train theory test slow lint types check clean
help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/ -/'

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

install: .venv/installed  ## make .venv and install zerosum into it

train: install  ## train a DCGAN on handwritten digits (no download, 5 minutes on 2 CPU cores); options by ARGS='seed=1'
	$(BIN)/python train.py experiment=digits $(ARGS)

theory: install  ## measure what the equations say and write docs/theory (minutes on 2 CPU cores)
	$(BIN)/python theory.py all --jobs 2 --folder docs/theory

test: install  ## the fast test suite
	$(BIN)/python -m pytest -n 2

slow: install  ## the tests that take minutes
	$(BIN)/python -m pytest -n 2 -m slow

lint: install  ## style
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: install  ## types
	$(BIN)/mypy

check: lint types test  ## all that a change must pass

clean:  ## remove the environment and caches, never outputs/ or data/
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache
