# Two commands do everything on a fresh machine: `make run` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SUITE ?= quick
PORT ?= 8501
# the shipped runs, and this machine's own (never committed)
export BREAKEVEN_DATA ?= data/runs:runs

# a machine with an NVIDIA driver gets the GPU libraries too
REQUIREMENTS := $(if $(shell command -v nvidia-smi 2>/dev/null),requirements-gpu.txt,requirements.txt)

.PHONY: run test collect dashboard format lint types install install-dev clean

run: install ## measure this machine (once), then open the dashboard on it
	@$(BIN)/python -m collector info
	@$(BIN)/python -m collector run --once --suite $(SUITE) --out runs
	@$(MAKE) --no-print-directory dashboard

collect: install ## measure this machine again: make collect SUITE=standard
	$(BIN)/python -m collector run --suite $(SUITE) --out runs

dashboard: install ## open the dashboard
	$(BIN)/python -m streamlit run dashboard.py --server.port $(PORT) --server.showEmailPrompt false \
		$(if $(DISPLAY)$(WAYLAND_DISPLAY)$(filter Darwin,$(shell uname)),--server.headless false)

# a worker more than cores, as some tests wait, each with a stretch of the files: what a file
# shares is made once
test: lint types ## linters, types and all tests that this machine can run
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --dist worksteal \
		-n $(shell $(PYTHON) -c 'import os; print(len(os.sched_getaffinity(0)) + 1)')

lint: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

types: install-dev
	$(BIN)/mypy collector estimator charts app_pages breakeven.py dashboard.py benchmarks

format: install-dev ## rewrite the code in the house's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

install: $(VENV)/.installed

install-dev: $(VENV)/.installed-dev

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("Breakeven needs Python 3.11 or newer; set PYTHON=") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python requirements.txt requirements-gpu.txt collector/requirements.txt constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_OPTIONS) -c constraints.txt -r $(REQUIREMENTS)
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_OPTIONS) -c constraints.txt -r requirements-dev.txt
	@touch $@

clean: ## remove the virtual environment
	rm -rf $(VENV)
