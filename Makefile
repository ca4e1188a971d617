# Two commands do everything on a fresh Linux machine: `make demo` and `make test`; `make docs` builds the pages of docs/,
# `make results` publishes anew.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt --editable

.PHONY: demo test docs results

demo: $(VENV)/.installed
	$(BIN)/python -m bench.run experiment=demo -m method=copy,sdedit,encode_decode,diffedit
	$(BIN)/python -m bench.report

test: $(VENV)/.testable
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

docs: $(VENV)/.documentable
	$(BIN)/python -m sphinx -W --keep-going -q docs docs/_build
	@echo docs/_build/index.html

results: $(VENV)/.installed
	$(BIN)/python -m scripts.publish

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) .
	touch $@

$(VENV)/.testable: $(VENV)/.installed
	$(PIP) '.[test]'
	touch $@

$(VENV)/.documentable: $(VENV)/.installed
	$(PIP) '.[docs]'
	touch $@
