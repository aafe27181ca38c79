# The environment is made once, in .venv. `make help` lists the targets.
SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed.lock
BENCH_ENV := .venv-bench/ready

# DVC runs the stages with the environment's Python.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export MLFLOW_DISABLE_TELEMETRY := true

.DEFAULT_GOAL := help
.PHONY: help setup dev repro ui serve test coverage lint format check bench bench-growth bench-accuracy picture leaderboard lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The stamp is a copy of the lock that was installed last. uv takes a third of pip's time; pip is
# the fallback, for example behind an index that only pip knows. The project itself is installed for the command `digits`.
# Bytecode is compiled as pip does it: where Python may write none, each import of TensorFlow would take 10 s.
INSTALL = rm -f $(STAMP) && \
	{ $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes --requirement $(1) || \
		$(BIN)/pip install --quiet --require-hashes --requirement $(1); } && \
	$(BIN)/pip install --quiet --no-build-isolation --no-deps --editable . && cp $(1) $(STAMP)

setup: $(BIN)/pip ## make the environment, unless it is up to date
	@cmp -s requirements-dev.lock $(STAMP) || cmp -s requirements.lock $(STAMP) || { $(call INSTALL,requirements.lock); }

dev: $(BIN)/pip ## make the environment with the tools for development
	@cmp -s requirements-dev.lock $(STAMP) || { $(call INSTALL,requirements-dev.lock); }

# DVC needs to be told that there is no Git repository, as in a downloaded archive.
repro: setup ## run the pipeline
	@PYTHONPATH=src $(BIN)/python -m digits.params
	@git rev-parse --git-dir >/dev/null 2>&1 || $(BIN)/dvc config --quiet --local core.no_scm true
	@$(BIN)/dvc repro

ui: PORT ?= 5000
ui: setup ## compare the runs in a browser, on port 5000 or PORT=...
	@$(BIN)/digits ui --port $(PORT)

serve: PORT ?= 8001
serve: setup ## serve the champion's predictions over HTTP, on port 8001 or PORT=...
	@$(BIN)/digits serve --port $(PORT)

PYTEST := $(BIN)/pytest
test: dev ## run the tests; they need no network
	@$(PYTEST)

coverage: PYTEST := $(BIN)/coverage run -m pytest
coverage: export COVERAGE_FILE := $(CURDIR)/.coverage
coverage: test ## run the tests and report what they cover, in the stages too
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report --skip-covered

lint: dev ## check params.yaml, style, types and spelling
	@PYTHONPATH=src $(BIN)/python -m digits.params
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/codespell

format: dev ## fix the style
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

check: lint test ## everything that must pass: the one gate, locally and in CI

bench: dev $(BENCH_ENV) ## compare the speed with other libraries; takes an hour on an idle machine
	@PYTHONPATH=src $(BIN)/python benchmarks/speed.py
	@PYTHONPATH=src $(BIN)/python benchmarks/convolutions.py
	@PYTHONPATH=src $(BIN)/python benchmarks/serving.py

bench-growth: dev ## log 1,000 runs and sweep over 1,000 configurations that do no work; takes a quarter of an hour
	@PYTHONPATH=src:tests $(BIN)/python benchmarks/growth.py
	@PYTHONPATH=src $(BIN)/python benchmarks/sweep_growth.py

bench-accuracy: dev ## compare the accuracy with the tutorial's own code over five runs
	@PYTHONPATH=src $(BIN)/python benchmarks/accuracy.py

# One worker, so that the seconds of training can be compared.
picture: dev ## take docs/compare-runs.png, in a clone without other runs, with Chromium; takes five minutes
	@$(BIN)/digits sweep -S train.recipe=tutorial,mlp,cnn_fast --workers 1
	@PYTHONPATH=src:tests $(BIN)/python docs/compare_runs.py

leaderboard: setup ## compare all recipes over five seeds, or SEEDS=..., in reports/leaderboard/; takes an hour or more, and resumes
	@PYTHONPATH=src:benchmarks $(BIN)/python -m leaderboard $(SEEDS)

COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
	--custom-compile-command 'make lock' --all-extras --group build pyproject.toml
lock: dev ## pin the newest versions that pyproject.toml allows
	@$(COMPILE) --upgrade --output-file requirements.lock
	@$(COMPILE) --upgrade --group dev --constraint requirements.lock --output-file requirements-dev.lock

clean: ## remove the environments and the tools' caches; data, DVC's cache and the runs stay
	rm -rf .venv .venv-bench .mypy_cache .pytest_cache .ruff_cache

$(BENCH_ENV): pyproject.toml
	@$(PYTHON) -m venv .venv-bench
	@.venv-bench/bin/pip install --quiet --upgrade 'pip>=25.1' # knows dependency groups
	@.venv-bench/bin/pip install --quiet --group bench
	@touch $@

# The scripts of an environment begin with its path: one whose folder was moved is made anew.
MOVED := $(shell grep -LF '$(CURDIR)/.venv' .venv/bin/activate 2>/dev/null)
.PHONY: moved
moved:
	@rm -rf .venv

$(BIN)/pip: $(if $(MOVED),moved)
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo 'TensorFlow needs Python 3.11, 3.12 or 3.13; choose one: make PYTHON=python3.12 ...' >&2; exit 1; }
	@echo 'Making the environment in .venv, once; this takes half a minute or so.'
	@$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }
	@sed -n '/^uv==/,/[^\\]$$/p' requirements.lock | $(BIN)/pip install --quiet --require-hashes --requirement /dev/stdin
