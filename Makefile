# AI Mass: everything a person or CI types. `make help` lists it.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
MAKEFLAGS += --no-print-directory

PYTHON3 ?= python3
PY := .venv/bin/python
# Airflow commands cost seconds more when bytecode may not be kept.
unexport PYTHONDONTWRITEBYTECODE

FAST_GROUPS := unit contract architecture dags ui
SLOW_GROUPS := integration browser e2e crash packaging
GROUPS := $(FAST_GROUPS) $(SLOW_GROUPS)
WORKERS ?= 2
N ?= 1000
FUZZ_EXAMPLES ?= 300
PYTEST := $(PY) -m pytest
PYTEST_ARGS ?=

.PHONY: help
help: ## list what can be typed
	@grep -hE '^[a-z%-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z%-]+):.*## /\1\t/' | while IFS=$$'\t' read -r name text; do
		printf '  make %-15s %s\n' "$$name" "$$text"
	done
	printf '\nTest groups: %s\n' "$(GROUPS)"

# --- run ---------------------------------------------------------------------------------------------------------

.PHONY: demo
demo: env-demo ## from nothing to a released model in Airflow, on real data; leaves Airflow running
	@$(PY) -m demo run

.PHONY: up
up: env-demo ## start Airflow and MLflow without running the pipeline
	@$(PY) -m demo up

.PHONY: down
down: ## stop everything that demo or up started
	@if [ -x $(PY) ]; then $(PY) -m demo down; else echo "nothing is running: .venv was never made"; fi

.PHONY: env-demo
env-demo:
	@$(PYTHON3) scripts/bootstrap.py demo

.PHONY: env
env: ## make .venv with everything the tests and checks need
	@$(PYTHON3) scripts/bootstrap.py test

.PHONY: env-browser
env-browser: ## install what tests/browser needs (Chromium, a Chinese font), or say how
	@scripts/install_browser.sh

.PHONY: env-services
env-services: env ## install the servers that tests start (MariaDB, Kafka, Hadoop, SeaweedFS, SecantusDB), or say how
	@scripts/install_services.sh

# --- test --------------------------------------------------------------------------------------------------------

.PHONY: test
test: env ## the fast tests: no root, no services, at most 5 minutes
	@$(PYTEST) -n $(WORKERS) --dist loadgroup -m "not (slow or integration or crash or e2e)" $(addprefix tests/,$(FAST_GROUPS)) $(PYTEST_ARGS)

.PHONY: test-all
test-all: env ## every test, one group after the other; real servers are started by the tests themselves
	@failed=()
	for group in $(GROUPS); do
		echo "=== tests/$$group"
		$(MAKE) "test-$$group" || failed+=("$$group")
	done
	if (( $${#failed[@]} )); then echo "FAILED test groups: $${failed[*]}"; exit 1; fi
	echo "all test groups passed: $(GROUPS)"

# The other slow groups run whole Airflows or kill processes: one test at a time.
SIDE_BY_SIDE := $(FAST_GROUPS) integration
.PHONY: $(addprefix test-,$(GROUPS))
$(addprefix test-,$(SIDE_BY_SIDE)): test-%: env
	@mkdir -p reports
	$(PYTEST) -n $(WORKERS) --dist loadgroup --junitxml=reports/$*.xml tests/$* $(PYTEST_ARGS)

$(addprefix test-,$(filter-out $(SIDE_BY_SIDE),$(GROUPS))): test-%: env
	@mkdir -p reports
	$(PYTEST) --junitxml=reports/$*.xml tests/$* $(PYTEST_ARGS)

test-browser: env-browser
test-integration test-crash test-e2e: env-services

test-%: ## one group of tests, such as test-unit
	@echo "unknown test group '$*'; known: $(GROUPS)"; exit 2

.PHONY: chaos
chaos: env-services ## N=1000 seeded kills a test instead of the 60, or 40 of a source, of test-all
	@AIMASS_CRASH_POINTS=$(N) $(PYTEST) --timeout=0 tests/crash $(PYTEST_ARGS)

.PHONY: fuzz
fuzz: env ## the fuzz tests of the inference server for longer: FUZZ_EXAMPLES=300 instead of 60
	@AIMASS_FUZZ_EXAMPLES=$(FUZZ_EXAMPLES) $(PYTEST) --timeout=0 tests/unit/serving/test_fuzz_rest.py tests/unit/serving/test_fuzz_tensors.py $(PYTEST_ARGS)

# --- check -------------------------------------------------------------------------------------------------------

.PHONY: check
check: env ## lint, format, types, spelling
	@$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy
	$(PY) -m codespell_lib

.PHONY: format
format: env ## rewrite the files as check wants them
	@$(PY) -m ruff check --fix
	$(PY) -m ruff format

.PHONY: bench
bench: env ## every benchmark with its goal; fails where one is not met
	@$(PY) -m benchmarks

.PHONY: bench-long
bench-long: env ## the benchmarks with more repetitions and larger inputs
	@$(PY) -m benchmarks --long

.PHONY: docs
docs: env ## write docs/reference.md from the configuration models, and the site into build/site
	@$(PY) scripts/reference.py
	$(PY) -m sphinx -q -W --keep-going -b html docs build/site
	echo "build/site/index.html"

.PHONY: pictures
pictures: env env-browser ## take the pictures in docs/pictures anew from the running product
	@$(PY) -m demo up >/dev/null
	$(PY) -m scripts.pictures

# --- keep --------------------------------------------------------------------------------------------------------

.PHONY: docker-env
docker-env: ## write random secrets for docker/compose.yaml to docker/.env, once
	@$(PYTHON3) scripts/docker_env.py

.PHONY: up-services down-services
up-services: docker-env ## MySQL, MongoDB, Kafka, HDFS and an S3 server from their images, to ingest from (needs Docker)
	@docker compose --file docker/compose.yaml up --wait mysql mongodb kafka namenode datanode s3

down-services: ## stop what up-services started; the data stays
	@docker compose --file docker/compose.yaml --profile sources down

.PHONY: lock
lock: ## resolve requirements/*.txt anew, with hashes
	@scripts/lock.sh

.PHONY: clean
clean: down ## remove environments, caches, build outputs and what the demo stored
	@rm -rf .venv .tools .aimass build dist reports providers/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
