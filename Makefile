# Actinium. `make help` lists what can be done.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
ORDERS ?= 1 2 3 4 5 6 7 8 9 10
BIN := .venv/bin
export ACTINIUM_HOME ?= $(CURDIR)/.actinium
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help install demo up down test test-fast test-orders chaos fuzz check format bench clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

install: .venv/.installed ## make .venv and install everything, pinned

demo: .venv/.installed ## start the stack, run studies/demo.yaml, print its three comparisons (DEMO_EXIT=1: stop at the end)
	@BIN=$(BIN) bash studies/demo.sh

up: .venv/.installed ## start the stack in the background
	@$(BIN)/actinium up --detach

down: ## stop the stack
	@if [ -x $(BIN)/actinium ]; then $(BIN)/actinium down; fi

test: .venv/.installed ## run the whole suite
	$(BIN)/python -m pytest

test-fast: .venv/.installed ## before each commit: unit and conformance tests without the slow ones, in under two minutes
	$(BIN)/python -m pytest tests/unit tests/conformance -m "not slow" --durations 5 --durations-min 1

test-orders: .venv/.installed ## unit and conformance tests, each time in another order and with other hashes (ORDERS="1 2 3")
	@for seed in $(ORDERS); do \
		PYTHONHASHSEED=$$seed $(BIN)/python -m pytest tests/unit tests/conformance --order-seed $$seed || exit 1; \
	done

chaos: .venv/.installed ## 2,000 trials while everything that works on them is killed, frozen and restarted 200 times (CHAOS="--seed 2")
	@cd tests && PYTHONPATH=$(CURDIR) ../$(BIN)/python -m chaos $(CHAOS)

fuzz: .venv/.installed ## more than 20,000 requests and documents that hurt, by every role (FUZZ="--seed 2 --scale 3")
	@cd tests && PYTHONPATH=$(CURDIR) ../$(BIN)/python -m fuzz $(FUZZ)

check: .venv/.installed ## format, lint, strict types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.installed ## rewrite the code in the house's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/.installed ## run every benchmark that this machine can
	@for file in benchmarks/*.py; do $(BIN)/python $$file || exit 1; done

bench-queue: .venv/.installed # a file benchmarks/queue.py would be found in the place of the standard library's
	@$(BIN)/python benchmarks/job_queue.py

bench-%: .venv/.installed ## run one benchmark
	@$(BIN)/python benchmarks/$(subst -,_,$*).py

clean: down ## stop the stack; remove .venv, the demo's state and every cache
	rm -rf .venv .actinium .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
