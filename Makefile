# Daily verbs, the same here and in continuous integration. Needs only a Python (3.11 or newer) with venv.

PYTHON ?= python3
UV ?= uv

BIN := .venv/bin
STAMP := .venv/.installed
TYPED := src tests $(wildcard benchmarks) $(wildcard tools)
PYTEST := $(BIN)/python -m pytest

export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Container images often set it. Every start of a process would then compile all modules anew: half of its time.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install lock format lint types imports check test test-all bench docs demo interop fuzz clean

help: ## say what each verb does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-10s %s\n", $$1, $$2 }' Makefile

install: $(STAMP) ## make .venv with everything in it, as the locks say

$(STAMP): requirements/dev.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

lock: ## resolve requirements/*.in anew (needs uv); UPGRADE=--upgrade takes the newest versions
	cd requirements && $(UV) pip compile $(UPGRADE) $(LOCK_OPTIONS) runtime.in -o runtime.txt
	cd requirements && $(UV) pip compile $(UPGRADE) $(LOCK_OPTIONS) dev.in -o dev.txt

# One lock for every platform and every Python from 3.11 on; it names versions and hashes, never a place to download from.
LOCK_OPTIONS := --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	--no-build --custom-compile-command "make lock"

format: $(STAMP) ## rewrite the code the way ruff wants it
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

lint: $(STAMP) ## ruff, rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP) ## mypy, strict, on sources, tests and benchmarks
	$(BIN)/mypy $(TYPED)

imports: $(STAMP) ## who may import whom
	$(BIN)/lint-imports

check: lint types imports ## everything that can be said without running the code

test: $(STAMP) ## all tests but the long ones
	$(PYTEST) -n auto --dist worksteal -m "not long"

test-all: $(STAMP) ## all tests, the long ones too, and more examples for each property
	$(PYTEST) -n auto --dist worksteal --hypothesis-profile=long --timeout=1800

interop: $(STAMP) ## against independent clients and servers
	COMMANDPOST_INTEROP=1 $(PYTEST) tests/interop

fuzz: $(STAMP) ## every parser against hostile bytes: fresh examples, then guided by coverage
	$(PYTEST) -n auto --hypothesis-profile=long --timeout=1800 tests/fuzz
	$(BIN)/python -m tests.fuzz.guided --seconds $(FUZZ_SECONDS) --write-corpus $(FUZZ_TARGETS)

# Of each target; all of them if none is named. An input that fails is written to fuzz-finds/.
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?=

bench: $(STAMP) ## throughput, latency and memory
	$(BIN)/python -m benchmarks

docs: $(STAMP) ## every link in the documentation leads somewhere
	$(BIN)/python tools/check_links.py

demo: $(STAMP) ## a server, simulated devices and their commands, in one go
	$(BIN)/commandpost demo

clean: ## remove what the verbs above have made
	rm -rf .venv build dist .hypothesis .import_linter_cache .interop .mypy_cache .pytest_cache .ruff_cache
	find src tests $(wildcard benchmarks) $(wildcard tools) -name __pycache__ -type d -prune -exec rm -rf {} +
