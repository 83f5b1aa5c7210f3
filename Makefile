# `make help` lists the targets. Everything runs in .venv, which is made on first use.

PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
BIN := $(VENV)/bin

export MPLBACKEND ?= Agg
export PIP_DISABLE_PIP_VERSION_CHECK ?= 1

.DEFAULT_GOAL := help
.PHONY: help demo test smoke extension check lint types examples fuzz browser generated bench trial reproduce clean

help:
	@echo "make demo       install, then run the annealing demonstration into demo-output/"
	@echo "make test       install with the development tools, then run the tests"
	@echo "make smoke      the package installed afresh, every benchmark once, whole examples"
	@echo "make extension  run the tests that a name appears in: NAME=radau5, NAME=nudged"
	@echo "make check      what CI runs: tests, ruff, mypy, examples, fuzzing, pages in a browser"
	@echo "make fuzz       random models, sizes, options and files for a minute (ARGS=--help for more)"
	@echo "make browser    lay out reports in headless Chromium; pictures go into browser-output/"
	@echo "make generated  write the examples' emitted sources and docs/integrators.md anew"
	@echo "make bench      measure build and solve times (ARGS=--help for more)"
	@echo "make trial      public systems by the default call (ARGS=--help for more)"
	@echo "make reproduce  run the papers' experiments and the neuron at full size into reproduce-output/"
	@echo "make clean      remove what these targets made, the environment included"

# The stamps make pip run again only when the project's metadata changes.
$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml setup.py | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml setup.py | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	@touch $@ $(VENV)/.installed

demo: $(VENV)/.installed
	$(BIN)/symda demo --into demo-output

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n $(WORKERS) -m "not smoke"

# What takes long and breaks seldom: the package installed afresh, benchmarks, whole examples; and
# the kernels. All are compiled as users compile them, for which other tests take no time.
KERNELS = tests/test_kernels_agree.py tests/test_newton_lanes.py tests/test_correlated.py \
	tests/test_error_correlations.py tests/test_network_passes.py
smoke: $(VENV)/.installed-dev
	SYMDA_CFLAGS= $(BIN)/python -m pytest -n $(WORKERS) -m smoke
	SYMDA_CFLAGS= $(BIN)/python -m pytest -n $(WORKERS) -m "not smoke" $(KERNELS)

$(VENV)/.installed-browser: $(VENV)/.installed-dev
	$(BIN)/python -m pip install --quiet --editable ".[browser]"
	@touch $@

# The tests that a name of a registry appears in, as: make extension NAME=radau5
extension: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n $(WORKERS) -k "$(NAME)"

check: test smoke lint types examples fuzz browser

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

# Each example runs in a folder of its own, so that nothing is left in the checkout.
examples: $(VENV)/.installed-dev
	@set -e; for script in $(abspath $(wildcard examples/*.py)); do \
	    echo "$$script"; folder=$$(mktemp -d); \
	    (cd "$$folder" && $(abspath $(BIN))/python "$$script"); rm -r "$$folder"; \
	done

fuzz: $(VENV)/.installed-dev
	$(BIN)/python tests/fuzz.py $(or $(ARGS),--seconds 60 --seed 0)

# CHROMIUM and CHROMEDRIVER name programs that are not on PATH.
browser: $(VENV)/.installed-browser
	@$(BIN)/python tests/browser/chromium.py
	$(BIN)/python -m pytest tests/browser

generated: $(VENV)/.installed
	$(BIN)/python generated/regenerate.py
	$(BIN)/python docs/integrators.py

# Without JAX or DAPPER their rows are left out.
bench: $(VENV)/.installed-dev
	@$(BIN)/python -c "import blackjax, dapper, jax" 2>/dev/null || $(BIN)/python -m pip install --quiet --editable ".[bench]" \
	    || echo "JAX or DAPPER could not be installed: nothing is compared with them."
	$(BIN)/python benchmarks/run.py $(ARGS)

# Of dysts only its equations are read, so that nothing is installed that it needs besides.
trial: $(VENV)/.installed
	@$(BIN)/python -c "import importlib.util as i; assert i.find_spec('dysts')" 2>/dev/null || \
	    $(BIN)/python -m pip install --quiet --no-deps "dysts==0.96"
	$(BIN)/python benchmarks/trial $(ARGS)

# The digits are scikit-learn's; without it they are left out.
reproduce: $(VENV)/.installed
	@$(BIN)/python -c "import sklearn" 2>/dev/null || \
	    $(BIN)/python -m pip install --quiet "scikit-learn>=1.3" || echo "scikit-learn could not be installed."
	@set -e; mkdir -p reproduce-output; for script in $(abspath $(wildcard examples/papers/*.py) examples/nakl.py); do \
	    echo "$$script"; (cd reproduce-output && $(abspath $(BIN))/python "$$script"); \
	done

clean:
	rm -rf $(VENV) build dist *.egg-info demo-output reproduce-output browser-output \
	    .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find symda templates tests examples benchmarks -name __pycache__ -type d -prune -exec rm -r {} +
