# The first Python that can run Cosmic; make PYTHON=/path/to/python takes another.
ifndef PYTHON
PYTHON := $(shell for found in python3.11 python3.12 python3.13 python3.14 python3; do \
  "$$found" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null \
  && echo "$$found" && break; done)
endif
# Elsewhere than PyPI's default, torch's CPU build is on its own index:
#   make env PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu"
PIP_ARGS ?=
# All that is built and installed; each has its sources under src.
PACKAGES := layers/fmilib layers/cosmic local cli
SOURCES := $(PACKAGES:%=%/src)
VENV := .venv
SAM_VENV := .venv-sam
BIN := $(VENV)/bin
SAM := $(SAM_VENV)/bin/sam
CHECKOV_VENV := .venv-checkov
PINS_VENV := .venv-pins
TOOLS_VENV := .venv-tools
DIST ?= dist
RUNTIME ?= python3.13
BUILD_DIR ?= .aws-sam/zip
ARCHITECTURE ?= x86_64
INFER_ARCHITECTURE ?= x86_64
STAGE ?= dev
TRIES ?= 5
SEEDS ?= 1 2 3
SECONDS ?= 60
# What AWS runs that the pins have wheels for; Python 3.11 there has too old a C library (ADR 20).
RUNTIMES := 3.12 3.13 3.14
# Of 18,000 modules these and what they import are compiled: the rest would take over a minute.
COMPILED := import astropy.table, PIL.ImageDraw, moto.server, openvino, pyarrow.parquet; \
  from cosmic_cli.program import application; application()
PIP = $(@D)/bin/python -m pip install --quiet --no-compile --disable-pip-version-check
INSTALL = $(BIN)/uv pip install --quiet --python $(@D)/bin/python
PINNED := functions/infer/requirements functions/infer/requirements-arm64 layers/dependencies/requirements \
  layers/figures/requirements
# Tests compute for some 650 CPU-seconds, and wait longer than that for processes, sockets and time limits: so
# there are more of them at a time than cores. tests/conftest.py says which stay together, and in which order.
SIDE_BY_SIDE := -n 5 --dist loadscope --no-loadscope-reorder
TEMPLATES := template.yaml infra/monitoring/template.yaml infra/rendezvous-host/template.yaml infra/query/template.yaml
SYSTEM_PACKAGES := redis-server nftables iproute2 ethtool chromium

export SAM_CLI_TELEMETRY := 0
# Thousands of processes are started here: each would compile what it imports.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help bench-waves bench-soak bench-console env install demo test test-unit test-long system site check format lint types validate security schemas dist build deploy destroy bench-fmi bench-channels bench-scale bench-thousand bench-stream bench-engine lock clean bench-start bench-pipeline bench-tables bench-pixels test-containers pins wheels bench-balance bench-predict faults busy-account

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

env: $(VENV)/.ready $(SAM_VENV)/.ready $(TOOLS_VENV)/.ready ## Make the environments

# uv installs in seconds what takes pip a minute, and the lock says all of it: nothing is resolved. uv doesn't
# read pip's configuration: where packages come from elsewhere than PyPI, pip takes over. torch is pip's in any
# case: its build for CPUs is on another index, or a file that pip was told of.
$(VENV)/.ready: $(VENV)/.demo
	@echo "Installing what trains, tests and documents Cosmic into $(VENV) …"
	grep -v '^torch==' requirements.lock > $(VENV)/others.txt
	$(INSTALL) --no-deps -r $(VENV)/others.txt || $(PIP) --no-deps $(PIP_ARGS) -r $(VENV)/others.txt
	$(PIP) $(PIP_ARGS) "$$(grep '^torch==' requirements.lock)"
	$(BIN)/python -m pip check
	$(BIN)/python -c "import scipy.stats, torch"
	touch $@

# What runs Cosmic on this machine, and no more: the demo needs neither torch nor what tests and documents.
$(VENV)/.demo: requirements.lock $(PACKAGES:%=%/pyproject.toml)
	@test -n "$(PYTHON)" || { echo "Cosmic needs Python 3.11 to 3.14 and finds none of them on the path:" \
	  "install one, or say where it is: make PYTHON=/path/to/python"; exit 1; }
	@echo "Installing Cosmic and what it runs with into $(VENV), with $$($(PYTHON) --version) …"
	$(PYTHON) -m venv $(VENV)
	$(PIP) $(PIP_ARGS) "$$(grep '^uv==' requirements.lock)"
	$(BIN)/uv pip install --python $(BIN)/python --constraint requirements.lock $(PACKAGES:%=--editable %) \
	  || $(PIP) $(PIP_ARGS) --constraint requirements.lock $(PACKAGES:%=--editable %)
	@echo "Compiling what is imported …"
	$(BIN)/python -c "$(COMPILED)"
	touch $@

# aws-sam-cli pins versions that the rest does not want, so it has an environment of its own. Whoever deploys
# needs this and what runs Cosmic, not what trains and tests it.
$(SAM_VENV)/.ready: requirements-sam.txt | $(VENV)/.demo
	$(PYTHON) -m venv $(SAM_VENV)
	$(INSTALL) -r requirements-sam.txt || $(PIP) -r requirements-sam.txt
	touch $@

install: $(VENV)/.demo ## Make the environment that runs Cosmic here, without what trains, tests and documents

demo: $(VENV)/.demo ## Do everything once on this machine: manifest in, catalogue out
	$(BIN)/cosmic demo

test: ## Run all checks and tests
	$(MAKE) --jobs=4 env system $(CHECKOV_VENV)/.ready
	$(MAKE) --jobs=2 --output-sync check
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(PYTEST_ARGS)

test-unit: $(VENV)/.ready ## Run what needs no process, no socket and no training
	$(BIN)/python -m pytest -n 2 --dist loadscope -m "not long and not process" tests/unit

test-long: ## The same with every seed and every cell of the matrix of collectives
	$(MAKE) test PYTEST_ARGS='-m ""'

test-containers: env ## Build the image and run the functions in containers (root; apt: docker.io iptables iproute2)
	$(BIN)/python -m pytest -s tests/policy/test_containers.py

# Some tests need a real Redis, real NATs and containers; they say so where they are skipped.
system:
	@if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
	  echo "not root on Debian: tests that need one of $(SYSTEM_PACKAGES) and don't find it are skipped"; \
	elif ! dpkg -s $(SYSTEM_PACKAGES) >/dev/null 2>&1; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	  apt-get install -qq --yes --no-install-recommends $(SYSTEM_PACKAGES) >/dev/null \
	  || echo "could not install $(SYSTEM_PACKAGES): tests that need them are skipped"; \
	fi

check: lint types validate security schemas ## Lint, types, the templates, and what the code host reads

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/.ready
	MYPYPATH=$(subst $() ,:,$(SOURCES)):tests:. $(BIN)/mypy --explicit-package-bases \
	  $(SOURCES) tests bench examples functions

validate: $(SAM_VENV)/.ready
	for template in $(TEMPLATES); do \
	  AWS_DEFAULT_REGION=us-east-1 $(SAM) validate --lint --template $$template || exit 1; done

# checkov pins versions that the rest does not want. What it may not find is in .checkov.yaml, with reasons.
security: $(CHECKOV_VENV)/.ready
	$(CHECKOV_VENV)/bin/checkov --config-file .checkov.yaml

$(CHECKOV_VENV)/.ready: requirements-checkov.txt | $(VENV)/.demo
	$(PYTHON) -m venv $(CHECKOV_VENV)
	$(INSTALL) -r requirements-checkov.txt || $(PIP) -r requirements-checkov.txt
	touch $@

SCHEMA := $(TOOLS_VENV)/bin/check-jsonschema --quiet --builtin-schema

schemas: $(TOOLS_VENV)/.ready
	$(SCHEMA) vendor.github-workflows .github/workflows/*.yml
	$(SCHEMA) custom.github-workflows-require-timeout .github/workflows/*.yml
	$(SCHEMA) vendor.github-issue-forms $(filter-out %/config.yml,$(wildcard .github/ISSUE_TEMPLATE/*.yml))
	$(SCHEMA) vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(SCHEMA) vendor.citation-file-format CITATION.cff
	$(TOOLS_VENV)/bin/pre-commit validate-config .pre-commit-config.yaml

# setuptools takes every file that an earlier build listed in egg-info, wanted today or not.
dist: $(TOOLS_VENV)/.ready ## Build every package, sources and wheel, into DIST (dist)
	rm -rf $(SOURCES:%=%/*.egg-info)
	for package in $(PACKAGES); do \
	  $(TOOLS_VENV)/bin/python -m build --quiet --no-isolation --outdir $(DIST) $$package || exit 1; done
	$(TOOLS_VENV)/bin/twine check --strict $(DIST)/*

# What builds, checks and releases packages; some of it pins versions that the rest does not want.
$(TOOLS_VENV)/.ready: requirements-tools.txt | $(VENV)/.demo
	$(PYTHON) -m venv $(TOOLS_VENV)
	$(INSTALL) -r requirements-tools.txt || $(PIP) -r requirements-tools.txt
	touch $@

bench-fmi: $(VENV)/.ready .venv-bench/.ready ## Measure fmilib beside Open MPI (apt: openmpi-bin libopenmpi-dev) and gloo
	$(BIN)/python -m bench.fmi

bench-channels: $(VENV)/.ready ## Measure the four channels of fmilib beside each other (apt: redis-server)
	$(BIN)/python -m bench.fmi.channels

bench-thousand: $(VENV)/.ready ## A thousand ranks of fmilib on this machine, twice
	$(BIN)/python -m bench.fmi.scale

bench-scale: $(VENV)/.ready ## aggregate and init of large runs beside an earlier commit's (FULL=1: a terabyte)
	$(BIN)/python -m bench.scale --base 6916a24 $(if $(FULL),--full)
	$(BIN)/python -m bench.scale.over_s3 --partitions 40000

bench-stream: $(VENV)/.ready ## How much of the download is hidden, and a rank's memory by partition size
	$(BIN)/python -m bench.stream overlap --rates 75 6
	$(BIN)/python -m bench.stream overlap --model tiny --sizes 25 100
	$(BIN)/python -m bench.stream memory --model tiny
	$(BIN)/python -m bench.stream memory --model full --sizes 25 400

bench-balance: $(VENV)/.ready ## Wall and idle time with a late rank, with and without moving its rows
	$(BIN)/python -m bench.balance

bench-engine: $(VENV)/.ready ## Measure every engine beside the published loop, and their starts
	$(BIN)/python -m bench.engine
	$(BIN)/python -m bench.engine.precision

bench-start: $(VENV)/.ready ## Where the cold start of each function goes, and a rank's beside an earlier commit's (BASE=)
	$(BIN)/python -m bench.start
	$(BIN)/python -m bench.start --base $(or $(BASE),6916a24) --rounds 5

bench-predict: $(VENV)/.ready ## From a FITS table to redshifts, beside a plain torch loop
	$(BIN)/python -m bench.predict

bench-pipeline: $(VENV)/.ready ## The whole pipeline beside the bare loop, by rows and by ranks
	$(BIN)/python -m bench.pipeline

faults: $(VENV)/.ready ## Runs under kills and broken replies of S3: what was whole, named or lost (SEEDS, SECONDS)
	$(BIN)/python -m bench.faults --seed $(SEEDS) --seconds $(SECONDS)

busy-account: $(VENV)/.ready ## Thirty runs at once, and one beside another function, in an account of ten (TRIES)
	for try in $$(seq $(TRIES)); do echo "try $$try of $(TRIES)" && \
	  $(BIN)/python -m pytest -s -q -n 0 -m "" tests/e2e/test_busy_account.py || exit 1; done

bench-waves: $(VENV)/.ready ## 300 ranks on this machine, in waves: the most memory and processes
	$(BIN)/python -m bench.waves

bench-soak: $(VENV)/.ready ## 200 runs in a row in one local stack: does it grow?
	$(BIN)/python -m bench.soak

bench-console: $(VENV)/.ready ## The console's list over 500 runs: requests, seconds
	$(BIN)/python -m bench.console

bench-pixels: $(VENV)/.ready ## How often pixels and magnitudes are said to disagree, rightly and by mistake
	$(BIN)/python -m bench.pixels

bench-tables: $(VENV)/.ready ## The source document's tables: theirs, measured here, modelled for Lambda
	$(BIN)/python -m bench.source_tables

.venv-bench/.ready:
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check numpy mpi4py
	touch $@

format: $(VENV)/.ready ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The layers are built with pip, which the machine's own python3 may lack, as Debian's does.
BUILD = PATH="$(CURDIR)/$(SAM_VENV)/bin:$$PATH" PYTHON_VERSION=$(RUNTIME:python%=%) ARCHITECTURE=$(ARCHITECTURE) $(SAM) build
OVERRIDES = PythonRuntime=$(RUNTIME) Architecture=$(ARCHITECTURE) InferArchitecture=$(INFER_ARCHITECTURE)

site: $(VENV)/.ready ## Build the documentation into build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

build: $(SAM_VENV)/.ready ## Build the zip functions and their layers (the image needs a container engine)
	$(BUILD) --exclude InferFunction --build-dir $(BUILD_DIR) --parameter-overrides $(OVERRIDES)

deploy: $(SAM_VENV)/.ready ## Build and deploy all to AWS, STAGE=dev or prod (needs a container engine)
	$(BUILD) --parameter-overrides $(OVERRIDES)
	$(SAM) deploy --config-env $(STAGE)

destroy: $(VENV)/.demo $(SAM_VENV)/.ready ## Remove the stack of a STAGE with all its data, after asking
	$(BIN)/cosmic destroy --stack cosmic-$(STAGE)
	$(SAM) delete --stack-name cosmic-$(STAGE) --no-prompts

# From PyPI itself, whatever this machine's pip is told: another index may serve other files.
FROM_PYPI := PIP_CONFIG_FILE=/dev/null PIP_FIND_LINKS= PIP_EXTRA_INDEX_URL= PIP_INDEX_URL=https://pypi.org/simple
WHEELS = --platform manylinux_2_34_$$cpu --platform manylinux_2_28_$$cpu --platform manylinux_2_17_$$cpu \
  --platform manylinux2014_$$cpu --implementation cp --only-binary=:all:

pins: $(PINS_VENV)/.ready ## Pin and hash what is deployed, transitively: requirements.in to requirements.txt
	for pinned in $(PINNED) layers/fmilib/requirements; do name=$$(basename $$pinned); \
	  (cd $$(dirname $$pinned) && $(FROM_PYPI) CUSTOM_COMPILE_COMMAND="make pins" $(CURDIR)/$(PINS_VENV)/bin/pip-compile --quiet \
	  --generate-hashes --strip-extras --no-emit-index-url --output-file $$name.txt $$name.in) || exit 1; done

wheels: $(PINS_VENV)/.ready ## Ask PyPI for a wheel of every pin, for every Python that the template offers
	for pinned in $(PINNED); do for version in $(RUNTIMES); do \
	  case $$pinned in *-arm64) cpu=aarch64;; *) cpu=x86_64;; esac; \
	  sed -n 's/^\([a-z].*==[^ ]*\).*/\1/p' $$pinned.txt > $(PINS_VENV)/pins && \
	  $(FROM_PYPI) $(PINS_VENV)/bin/pip install --quiet --disable-pip-version-check --dry-run --ignore-installed \
	  --no-deps --target $(PINS_VENV)/none --requirement $(PINS_VENV)/pins --python-version $$version $(WHEELS) \
	  || exit 1; echo "$$pinned: a wheel for everything on Python $$version, $$cpu"; done; done

$(PINS_VENV)/.ready: requirements-pins.txt
	$(PYTHON) -m venv $(PINS_VENV)
	$(PINS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-pins.txt
	touch $@

lock: $(VENV)/.ready ## Write the versions that are installed into requirements.lock
	$(BIN)/python -m pip freeze --exclude-editable | sed 's/^torch==\([0-9.]*\).*/torch==\1/' > requirements.lock

clean: ## Remove what was made
	rm -rf $(VENV) $(SAM_VENV) $(CHECKOV_VENV) $(PINS_VENV) $(TOOLS_VENV) .venv-bench .aws-sam .cosmic cosmic-demo .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
