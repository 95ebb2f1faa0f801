# Every target makes .venv and installs what it needs by itself, once; only python3 (3.11 or later) and make are needed.

# The first Python that is recent enough; `make run PYTHON=/path/to/python3` chooses another.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

# Tests wait for servers most of the time; each worker starts its own. `make test WORKERS=0` runs them in one process.
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help run test check bench faults clean

help: ## show this
	@echo "Medina: NGSI-LD context broker, MQTT agents and pilots"
	@echo
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "Settings are environment variables, e.g. MEDINA_PORT=2026 make run; see docs/operators.md."

run: .venv/installed-embedded ## start everything on this machine: servers, broker, agent, pilot page, simulated campus
	@exec .venv/bin/medina up

test: .venv/installed-dev .venv-clients/installed ## run every test against real servers
	.venv/bin/python -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

check: .venv/installed-dev ## formatting, lint and types
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy

bench: .venv/installed-dev ## measure rates and latencies against floors of the same run
	.venv/bin/python -m tests.bench $(ARGS)

faults: .venv/installed-dev ## kill parts at random during 100,000 updates; count lost, disordered and repeated notifications
	.venv/bin/python -m tests.faults $(ARGS)

clean: ## remove .venv*, caches and build results; data stay
	rm -rf .venv .venv-clients build .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info

.venv/installed-%: pyproject.toml .ci/install.py
	@if [ -z "$(PYTHON)" ]; then \
		echo "Medina needs Python 3.11 or later; found: $$(python3 --version 2>&1 || echo none)." >&2; \
		echo "Install one (Debian 12, Ubuntu 24.04: apt install python3 python3-venv) or name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; \
		exit 2; fi
	@$(PYTHON) .ci/install.py $*

# Clients that pilot developers use, for the tests: their old dependencies do not go together with those of .venv.
.venv-clients/installed: tests/clients/requirements.txt | .venv/installed-dev
	@echo "Making .venv-clients ..."
	@.venv/bin/python -m venv --clear --without-pip .venv-clients
	@.venv/bin/python -m pip --python .venv-clients/bin/python install --quiet --disable-pip-version-check --requirement $<
	@touch $@
