PYTHON ?= python3.11
# Elsewhere than PyPI's default, torch's CPU build is on its own index:
#   make env PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu"
PIP_ARGS ?=
VENV := .venv
SAM_VENV := .venv-sam
BIN := $(VENV)/bin
SAM := $(SAM_VENV)/bin/sam
RUNTIME ?= python3.13
SYSTEM_PACKAGES := redis-server nftables iproute2

export SAM_CLI_TELEMETRY := 0

.DEFAULT_GOAL := help
.PHONY: help env demo test system check format lint types validate build bench-fmi bench-scale lock clean

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

env: $(VENV)/.ready $(SAM_VENV)/.ready ## Make the environments

$(VENV)/.ready: requirements.lock layers/fmilib/pyproject.toml layers/cosmic/pyproject.toml cli/pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e layers/fmilib -e layers/cosmic -e cli
	touch $@

# aws-sam-cli pins versions that the rest does not want, so it has an environment of its own.
$(SAM_VENV)/.ready: requirements-sam.txt
	$(PYTHON) -m venv $(SAM_VENV)
	$(SAM_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-sam.txt
	touch $@

demo: $(VENV)/.ready ## Do everything once on this machine: manifest in, catalogue out
	$(BIN)/cosmic demo

test: env system check ## Run all checks and tests
	$(BIN)/python -m pytest -n 2 --dist loadfile

# Some tests need a real Redis and real NATs; they say so where they are skipped.
system:
	@if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
	  echo "not root on Debian: tests that need one of $(SYSTEM_PACKAGES) and don't find it are skipped"; \
	elif ! dpkg -s $(SYSTEM_PACKAGES) >/dev/null 2>&1; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	  apt-get install -qq --yes --no-install-recommends $(SYSTEM_PACKAGES) >/dev/null \
	  || echo "could not install $(SYSTEM_PACKAGES): tests that need them are skipped"; \
	fi

check: lint types validate ## Lint, types and the template

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.ready
	$(BIN)/mypy layers/fmilib/src layers/cosmic/src cli/src
	MYPYPATH=layers/fmilib/src:layers/cosmic/src:cli/src:tests $(BIN)/mypy --explicit-package-bases tests
	for function in init infer aggregate; do $(BIN)/mypy functions/$$function/app.py || exit 1; done

validate: $(SAM_VENV)/.ready
	AWS_DEFAULT_REGION=us-east-1 $(SAM) validate --lint

bench-fmi: $(VENV)/.ready .venv-bench/.ready ## Measure fmilib beside Open MPI (apt: openmpi-bin libopenmpi-dev) and gloo
	$(BIN)/python -m bench.fmi

bench-scale: $(VENV)/.ready ## A thousand ranks of fmilib on this machine, twice
	$(BIN)/python -m bench.fmi.scale

.venv-bench/.ready:
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check numpy mpi4py
	touch $@

format: $(VENV)/.ready ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

build: $(SAM_VENV)/.ready ## Build the zip functions and their layers (the image needs a container engine)
	PYTHON_VERSION=$(RUNTIME:python%=%) $(SAM) build InitFunction --build-dir .aws-sam/init --parameter-overrides PythonRuntime=$(RUNTIME)
	PYTHON_VERSION=$(RUNTIME:python%=%) $(SAM) build AggregateFunction --build-dir .aws-sam/aggregate --parameter-overrides PythonRuntime=$(RUNTIME)

lock: $(VENV)/.ready ## Write the versions that are installed into requirements.lock
	$(BIN)/python -m pip freeze --exclude-editable | sed 's/^torch==\([0-9.]*\).*/torch==\1/' > requirements.lock

clean: ## Remove what was made
	rm -rf $(VENV) $(SAM_VENV) .venv-bench .aws-sam .cosmic cosmic-demo .mypy_cache .ruff_cache .pytest_cache .hypothesis
