# The environment is made once, in .venv; `make help` lists what there is to do.
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PRODUCT := $(VENV)/requirements.lock
DEVELOPMENT := $(VENV)/requirements-dev.lock
PEERS := .venv-bench/ready

# What DVC runs in turn is the environment's as well.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help setup repro demo ui test test-mnist bench bench-accuracy check lint lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(PRODUCT) ## make the environment; nothing happens if it is there

repro: setup ## run the pipeline: what params.yaml says, or the demo where MNIST cannot be had
	@rm -f .digits/no-source
	@$(BIN)/dvc repro || { \
		test -e .digits/no-source || exit 1; \
		echo; echo 'MNIST cannot be had here (see above), so this is the demo: the same pipeline on the UCI digits.'; \
		$(MAKE) --no-print-directory demo; }

# The experiment's commits are the demo's own: a newcomer's machine may have no Git identity.
demo: export GIT_AUTHOR_NAME ?= Digits demo
demo: export GIT_AUTHOR_EMAIL ?= demo@localhost
demo: export GIT_COMMITTER_NAME ?= Digits demo
demo: export GIT_COMMITTER_EMAIL ?= demo@localhost
demo: setup ## run the pipeline on the bundled UCI digits, as an experiment beside the working tree
	@$(BIN)/dvc exp run --temp --force --name demo --set-param fetch.dataset=uci
	@echo; echo 'Done, on the stand-in (UCI digits, not MNIST). Its numbers, kept as the experiment "demo":'
	@git show "$$(git for-each-ref --sort=-creatordate --count=1 --format='%(refname)' 'refs/exps/*/*/demo')":reports/metrics.json | sed -n '2,6s/[",]//gp'
	@echo '(`dvc exp show` lists it, `make ui` shows its run and plots.)'

PORT ?= 5000
ui: setup ## compare the runs in a browser, on port 5000 or PORT=...
	@$(BIN)/python -c 'import socket; socket.create_server(("127.0.0.1", $(PORT))).close()' 2>/dev/null || \
		{ echo 'Port $(PORT) is taken; name another: make ui PORT=5001' >&2; exit 1; }
	@MLFLOW_DISABLE_TELEMETRY=true $(BIN)/mlflow ui --workers 1 --port $(PORT)

test: $(DEVELOPMENT) ## run the tests; they need no network
	@$(BIN)/pytest

test-mnist: $(DEVELOPMENT) ## run the tests that need the published MNIST files
	@$(BIN)/pytest -m mnist

lint: $(DEVELOPMENT) ## check params.yaml, style and types
	@PYTHONPATH=src $(BIN)/python -m digits.params
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

bench: $(DEVELOPMENT) $(PEERS) ## compare the speed with its peers, for a quarter of an hour; nothing else should run
	@PYTHONPATH=src $(BIN)/python benchmarks/speed.py

bench-accuracy: $(DEVELOPMENT) ## compare the accuracy with the tutorial's own lines, over five runs
	@PYTHONPATH=src $(BIN)/python benchmarks/accuracy.py

check: lint test ## everything that must pass: the one gate, here and in CI

COMPILE := $(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url \
	--no-emit-find-links --custom-compile-command 'make lock' pyproject.toml
lock: $(DEVELOPMENT) ## pin the newest versions that pyproject.toml allows
	@$(COMPILE) --output-file requirements.lock
	@$(COMPILE) --group dev --constraint requirements.lock --output-file requirements-dev.lock

clean: ## remove the environment and the caches of the tools; data, DVC's cache and the runs stay
	rm -rf $(VENV) .venv-bench .mypy_cache .pytest_cache .ruff_cache

INSTALL := $(BIN)/pip install --quiet --require-hashes --requirement

# A copy of a lock in the environment says that what it lists is installed. The development lock has all that
# the product's has, in the same versions, so either serves `make setup`.
$(PRODUCT): requirements.lock | $(BIN)/pip
	@cmp -s $< $@ || cmp -s requirements-dev.lock $(DEVELOPMENT) || $(INSTALL) $<
	@cp $< $@

$(DEVELOPMENT): requirements-dev.lock | $(BIN)/pip
	@cmp -s $< $@ || $(INSTALL) $<
	@cp requirements.lock $(PRODUCT)
	@cp $< $@

$(PEERS): pyproject.toml
	@$(PYTHON) -m venv .venv-bench
	@.venv-bench/bin/pip install --quiet --upgrade 'pip>=25.1' # which knows dependency groups
	@.venv-bench/bin/pip install --quiet --group bench
	@touch $@

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo 'Python 3.11, 3.12 or 3.13 is needed, as TensorFlow has no other; name one: make PYTHON=python3.12 ...' >&2; exit 1; }
	@echo 'Making the environment in $(VENV); this takes a minute or two, once.'
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }
