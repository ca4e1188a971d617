# Two commands do everything on a fresh Linux machine: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: demo test

demo: $(VENV)/.installed
	$(BIN)/python -m bench.run experiment=demo -m method=copy,sdedit,encode_decode,diffedit
	$(BIN)/python -m bench.report

test: $(VENV)/.installed
	$(BIN)/python -m pytest

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt --editable '.[test]'
	touch $@
