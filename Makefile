# Every target makes its own environment; nothing has to be installed beforehand but Python 3.11+.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check conformance fix chaos bundle lock clean

demo: $(VENV)/.runtime  ## play a session through a real server, on this repository's own history
	$(BIN)/agent-mem demo

test: $(VENV)/.dev  ## run every test; fails below 100% branch coverage
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n 3 $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

check: $(VENV)/.dev  ## lint, formatting, types, layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/lint-imports

conformance: $(VENV)/.dev  ## what others' programs say: the official suite, the Inspector; needs npm
	.ci/conformance

fix: $(VENV)/.dev  ## mend what can be mended by a program
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bundle: $(BIN)/python  ## build dist/agent-mem-VERSION.mcpb, for Claude Desktop
	$(BIN)/python bundle/build.py dist

chaos: $(VENV)/.dev  ## everything that can go wrong with a sync, ten times, and its control
	$(BIN)/python bench/chaos.py --runs 10 --seconds 30 $(ARGS)
	$(BIN)/python bench/chaos.py --control $(ARGS)

lock: $(VENV)/.dev  ## resolve the dependencies anew
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header \
		--upgrade --no-emit-index-url pyproject.toml --group build -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header \
		--upgrade --no-emit-index-url pyproject.toml --group dev -o requirements-dev.lock

clean:  ## remove the environment and what was built
	rm -rf $(VENV) .ci/node_modules .coverage* .pytest_cache .ruff_cache .hypothesis dist

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: $(BIN)/python requirements.lock pyproject.toml
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	$(BIN)/python -m compileall -q agent_mem
	touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.lock
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.lock
	touch $@
