# Two commands do everything: `make demo` and `make test`. `make help` lists the others.
SHELL := /bin/bash
.DEFAULT_GOAL := help

EXTRAS ?=
export EXTRAS
empty :=
space := $(empty) $(empty)
LOCKS = requirements.lock $(foreach extra,$(EXTRAS),requirements-$(extra).lock)

# A shim named uv may exist and fail, so uv is tried by running it; else a private one is installed.
UV := $(shell if uv --version >/dev/null 2>&1; then echo uv; else echo .cache/uv/bin/uv; fi)

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# Into a folder of its own: neither a system's Python (PEP 668) nor a missing venv module hinders.
.cache/uv/bin/uv:
	python3 -m pip install --quiet --disable-pip-version-check --target .cache/uv uv

# The stamp lies inside .venv: who deletes that starts anew, and a second call costs nothing.
STAMP = .venv/installed-$(subst $(space),-,$(strip default $(EXTRAS)))

# Python compiles a module when it is first imported. Where it may not keep that, it is done at once:
# each start would take seconds longer, and the tests start some hundred processes.
COMPILE := $(PYTHONDONTWRITEBYTECODE)$(filter 1 true,$(UV_COMPILE_BYTECODE))

setup:  ## make .venv from the locks; EXTRAS="dev" adds what tests need
	@$(MAKE) --silent --no-print-directory $(STAMP)

.venv/installed-%: $(LOCKS) pyproject.toml $(filter .cache/%,$(UV))
	@test -x .venv/bin/python || $(UV) venv --quiet --python "$$(cat .python-version)" .venv
	$(UV) pip install --python .venv/bin/python --require-hashes $(if $(COMPILE),--compile-bytecode) \
	  $(addprefix -r ,$(LOCKS))
	$(UV) pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
	$(if $(COMPILE),.venv/bin/python -m compileall -q function trainer)
	@touch $@

lock: $(filter .cache/%,$(UV))  ## write the locks anew from pyproject.toml; UPGRADE=1 takes newer releases
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --no-annotate $(if $(UPGRADE),--upgrade) \
	  --group build pyproject.toml --output-file requirements.lock
	@for extra in dev cuda tpu wandb mlflow ray pg; do echo "requirements-$$extra.lock"; \
	  $(UV) pip compile --quiet --universal --generate-hashes --no-header --no-annotate $(if $(UPGRADE),--upgrade) \
	    --extra $$extra --constraint requirements.lock pyproject.toml --output-file requirements-$$extra.lock || exit 1; done
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --no-annotate \
	  --python-version "$$(cat .python-version)" --group function --constraint requirements.lock --output-file function/requirements.txt
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --no-annotate \
	  --python-version "$$(cat .python-version)" --group function-jax --constraint requirements.lock --output-file function/requirements-jax.txt
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --no-annotate \
	  --python-version "$$(cat .python-version)" --group function-pg --constraint requirements.lock --output-file function/requirements-pg.txt

demo: setup  ## photos, training, release and a running shop window at 127.0.0.1:8080
	.venv/bin/lookalike demo $(DEMO)

# Files side by side: most wait for servers and browsers, and each file makes what it needs.
test: browser  ## pass the tests
	.venv/bin/pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(TESTS)

test-slow: browser  ## pass those that would make the others wait: all states of the page, the API's description
	.venv/bin/pytest -m slow $(TESTS)

# The page's tests need a browser: the one that is there, or Playwright's own, or the distribution's.
browser: EXTRAS = dev
browser: setup
	@for name in chromium chromium-browser google-chrome; do command -v $$name >/dev/null && exit 0; done; \
	.venv/bin/playwright install chromium >/dev/null 2>&1 && exit 0; \
	[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y chromium >/dev/null && exit 0; \
	echo "No browser could be installed: the page's tests will be skipped. Install Chromium to run them."

check: EXTRAS = dev
check: setup  ## lint, format, types and import rules
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

SERVING_BENCHMARKS = embedder search serving cold_start overload asking swap
bench-serving: EXTRAS = dev
bench-serving: setup peers  ## the function beside torch, ONNX Runtime, FAISS and hnswlib servers
	@for name in $(SERVING_BENCHMARKS); do .venv/bin/python -m tests.benchmarks.$$name || exit 1; done

soak: EXTRAS = dev
soak: setup  ## half an hour of load, with another release every minute; MINUTES=3 for less
	.venv/bin/python -m tests.benchmarks.soak --minutes $(or $(MINUTES),30)

# Python 3.11 where there is one: PyTorch's CPU builds are the easiest to come by for it.
PEERS = .cache/peers/installed
peers: $(PEERS)  ## the environment of what the project is measured against: PyTorch, FAISS
$(PEERS): tests/benchmarks/peers/requirements.txt
	python3.11 -m venv .cache/peers || python3 -m venv .cache/peers
	.cache/peers/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

TRAINER_BENCHMARKS = loss metrics step input quality
bench-trainer: EXTRAS = dev
bench-trainer: setup peers  ## training, loss, evaluation and input against PyTorch and PML
	@for name in $(TRAINER_BENCHMARKS); do .venv/bin/python -m tests.benchmarks.$$name || exit 1; done

bench-releases: EXTRAS = dev
bench-releases: setup  ## an update of some changed products beside a full publication
	.venv/bin/python -m tests.benchmarks.update

bench-runners: EXTRAS = dev
bench-runners: setup  ## photos a second of each further worker of a Ray cluster
	.venv/bin/python -m tests.benchmarks.runners

bench-databases: EXTRAS = dev
bench-databases: setup  ## a million rows in files and in PostgreSQL; ROWS=100000 for fewer
	.venv/bin/python -m tests.benchmarks.databases --rows $(or $(ROWS),1000000)

bench-hosts: EXTRAS = dev
bench-hosts: setup  ## two processes and two workers of Ray beside one, on the same batch
	.venv/bin/python -m tests.benchmarks.hosts

# Coverage of Python alone: the decoders in C are watched by their crashes.
RUNS ?= 200000
FUZZER = .cache/fuzz/installed
fuzz: EXTRAS = dev
fuzz: setup $(FUZZER)  ## decode photos that a fuzzer invents, RUNS=200000 of them
	.venv/bin/python -m tests.fuzz --runs $(RUNS)
$(FUZZER): tests/fuzz/requirements.txt $(filter .cache/%,$(UV))
	$(UV) pip install --quiet --python .venv/bin/python --target .cache/fuzz/atheris -r $<
	@touch $@

format:  ## mend what ruff can mend
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

types: setup  ## write the client's TypeScript types anew from the API's description
	.venv/bin/python -m function.openapi.typescript > function/web/wire.d.ts

# As in the tests, with twenty times the examples.
conformance: EXTRAS = dev
conformance: setup  ## hold the real server to its OpenAPI document for some minutes
	SCHEMATHESIS_EXAMPLES=500 .venv/bin/pytest -m slow --timeout=0 tests/function/test_openapi_conformance.py

# In an environment of its own; OSV is asked for each package that a lock holds for this machine.
audit: $(filter .cache/%,$(UV))  ## ask osv.dev for known vulnerabilities of what the locks hold
	@for lock in $(wildcard *.lock function/requirements*.txt); do echo "$$lock"; \
	  $(UV) tool run pip-audit==2.10.1 --vulnerability-service osv --strict --disable-pip --require-hashes \
	    --progress-spinner off --requirement $$lock || failed=1; done; exit $${failed:-0}

hooks: EXTRAS = dev
hooks: setup  ## run the checks before every commit
	.venv/bin/pre-commit install

.PHONY: help setup lock demo test test-slow browser check bench-serving soak peers bench-trainer bench-releases bench-runners bench-databases bench-hosts fuzz format types conformance audit hooks
