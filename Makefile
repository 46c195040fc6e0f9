# Two commands do everything: `make demo` and `make test`. `make help` lists the others.
SHELL := /bin/bash
.DEFAULT_GOAL := help

EXTRAS ?=
LOCKS = requirements.lock $(foreach extra,$(EXTRAS),requirements-$(extra).lock)

# A shim named uv may exist and fail, so uv is tried by running it; else a private one is installed.
UV := $(shell if uv --version >/dev/null 2>&1; then echo uv; else echo .cache/uv/bin/uv; fi)

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.cache/uv/bin/uv:
	python3 -m venv .cache/uv
	.cache/uv/bin/pip install --quiet --disable-pip-version-check uv

setup: $(filter .cache/%,$(UV))  ## make .venv from the locks; EXTRAS="dev" adds what tests need
	@test -x .venv/bin/python || $(UV) venv --quiet --python "$$(cat .python-version)" .venv
	$(UV) pip install --quiet --python .venv/bin/python --require-hashes $(addprefix -r ,$(LOCKS))
	$(UV) pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .

lock: $(filter .cache/%,$(UV))  ## write the locks anew from pyproject.toml; UPGRADE=1 takes newer releases
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --no-annotate $(if $(UPGRADE),--upgrade) \
	  --group build pyproject.toml --output-file requirements.lock
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --no-annotate $(if $(UPGRADE),--upgrade) \
	  --extra dev --constraint requirements.lock pyproject.toml --output-file requirements-dev.lock

.PHONY: help setup lock
