# Everything installs into .venv from the hash-locked requirements.lock: by uv where it is there, else by pip.
PYTHON ?= python3
UV := $(shell command -v uv 2>/dev/null)
BIN := .venv/bin
SETUP := .venv/.made

.PHONY: drill test lint lab clean soak bench contract

drill: $(SETUP)  ## break a real database, investigate, fix, verify, write the post-mortem
	$(BIN)/runbook drill

test: lint  ## everything that must hold
	$(BIN)/pytest

lint: $(SETUP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lab: $(SETUP)  ## JupyterLab on the notebooks
	$(BIN)/jupyter lab notebooks

soak: $(SETUP)  ## what takes longer: every drill, several seeds
	for seed in 1 2 3; do $(BIN)/runbook drill --seed $$seed || exit 1; done

contract: $(SETUP)  ## the API's contract, against the cluster that RUNBOOK_TEST_KUBECONFIG names
	$(BIN)/pytest -n0 tests/contract

bench: $(SETUP)  ## speed and memory, as ratios within one run
	$(BIN)/python tests/bench/cluster.py

$(SETUP): requirements.lock pyproject.toml
ifdef UV
	uv venv --quiet --allow-existing --python $(PYTHON) .venv
	uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
else
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
endif
	touch $@

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
