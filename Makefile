# make demo · make test · make lint: each sets up .venv by itself and can be repeated.
# PYTHON=... chooses the Python that creates .venv; pip.conf and PIP_* variables are respected.

SHELL := /bin/bash
BIN := .venv/bin
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help demo test lint clean

help:
	@echo "make demo   train a small molecule model on simulated data (no download), predict, write report.html"
	@echo "make test   run the tests"
	@echo "make lint   run ruff, pyright and the import contracts"
	@echo "make clean  delete .venv, caches and build outputs; runs/ stays"

# The first Python that is new enough; a version manager may offer names that do not run.
$(READY): pyproject.toml scripts/setup_venv.py
	@for python in $${PYTHON:-python3 python3.13 python3.12 python3.11}; do \
	  if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    exec "$$python" scripts/setup_venv.py; \
	  fi; \
	done; \
	echo "setup: Python 3.11 or newer is needed; tried $${PYTHON:-python3, python3.13, python3.12, python3.11}:" \
	  "install one or set PYTHON=/path/to/python" >&2; exit 1

demo: $(READY)
	@echo "Writing runs/demo (a few MB), replacing an earlier one; nothing is downloaded."
	$(BIN)/sciformer train recipes/molecule/property.py --out runs/demo --overwrite true
	@printf '%s\n' 'CCO ethanol' 'Oc1ccccc1 phenol' 'CC(=O)Oc1ccccc1C(=O)O aspirin' > runs/demo/new.smi
	$(BIN)/sciformer predict runs/demo/checkpoint runs/demo/new.smi -o runs/demo/predicted.csv
	@cat runs/demo/predicted.csv
	@echo "Report: $(CURDIR)/runs/demo/report.html"

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

clean:
	rm -rf .venv build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
