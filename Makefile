# make demo | test | test-slow | test-all | check | bench | docs | clean.  Another interpreter: make PYTHON=python3.12 test

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
INSTALL := $(PY) -m pip install --disable-pip-version-check -c constraints.txt
BENCH ?= $(filter-out clone,$(basename $(notdir $(sort $(wildcard bench/*.py)))))
# As many processes as cores; make WORKERS=0 test for one that a debugger can stop.
WORKERS ?= auto
PYTEST := -m pytest -n $(WORKERS) --maxprocesses 16 --dist worksteal --doctest-modules src/tidegate tests --ignore tests/house
SOURCES := pyproject.toml constraints.txt $(wildcard CMakeLists.txt) $(shell find native -type f 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-all check bench docs clean compiler
.NOTPARALLEL:

help:
	@echo "make demo      train on Reuters news, stream words; forecast a load curve (3 minutes)"
	@echo "make test      all tests but the slow ones, on all cores"
	@echo "make test-slow only the slow tests"
	@echo "make test-all  both, all tests but those of make check"
	@echo "make check     lint, format, types, rules of the house"
	@echo "make bench     measure speed into bench/runs/, accuracy and errors into bench/results/"
	@echo "make docs      put the figures of both into README.md and docs/"
	@echo "make clean     remove what these made"

demo: $(VENV)/train.stamp
	@$(PY) -m tidegate demo

test: $(VENV)/dev.stamp
	@$(PY) $(PYTEST) -m "not slow"

test-slow: $(VENV)/dev.stamp
	@$(PY) $(PYTEST) -m slow

test-all: $(VENV)/dev.stamp
	@$(PY) $(PYTEST)

check: $(VENV)/dev.stamp
	@$(PY) -m ruff check . || { echo "make check: the lint above failed; try: $(PY) -m ruff check --fix ."; exit 1; }
	@$(PY) -m ruff format --check . || { echo "make check: format with: $(PY) -m ruff format ."; exit 1; }
	@$(PY) -m mypy || { echo "make check: the types above are wrong"; exit 1; }
	@$(PY) -m pytest tests/house

bench: $(VENV)/bench.stamp
	@for name in $(BENCH); do echo "== $$name"; $(PY) bench/$$name.py || exit 1; done

docs: $(VENV)/dev.stamp
	@$(PY) tools/figures.py

$(VENV)/train.stamp: $(SOURCES) | $(PY) compiler
	@echo "installing tidegate and what training (torch) and plots need into $(VENV)"
	@$(INSTALL) -q -e '.[train,plot]' || { echo "make: the install failed, see above; it needs a C++17 compiler and pip's access to packages"; exit 1; }
	@touch $@

$(VENV)/dev.stamp: $(SOURCES) | $(PY) compiler
	@echo "installing tidegate and what its tests need into $(VENV)"
	@$(INSTALL) -q -e '.[dev]' || { echo "make: the install failed, see above; it needs a C++17 compiler and pip's access to packages"; exit 1; }
	@touch $(VENV)/train.stamp $@

$(VENV)/bench.stamp: $(SOURCES) | $(PY) compiler
	@echo "installing tidegate and the libraries that it is measured against into $(VENV)"
	@$(INSTALL) -q -e '.[bench]' || { echo "make: the install failed, see above; it needs a C++17 compiler and pip's access to packages"; exit 1; }
	@touch $(VENV)/train.stamp $(VENV)/dev.stamp $@

$(PY):
	@command -v $(PYTHON) >/dev/null || { echo "make: no $(PYTHON) here; install Python 3.11 or newer, or name one: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $(PYTHON) is older than 3.11; name a newer one: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "make: $(PYTHON) cannot make a virtual environment; install its venv package (Debian: apt install python3-venv)"; exit 1; }

compiler:
	@command -v "$${CXX:-c++}" >/dev/null || command -v g++ >/dev/null || command -v clang++ >/dev/null || { echo "make: no C++ compiler here; install g++ or clang (Debian: apt install g++; macOS: xcode-select --install)"; exit 1; }

clean:
	rm -rf $(VENV) build dist demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
