# Needs Python 3.11 or newer and make, nothing else.
PYTHON ?= python3
VENV := .venv

.PHONY: demo test lint clean

demo: $(VENV)/installed  ## draw a sounding scene, find its source: cmac-demo/
	$(VENV)/bin/cmac demo -o cmac-demo --overwrite

test: $(VENV)/installed-test  ## all tests; none needs the network
	HF_HUB_OFFLINE=1 $(VENV)/bin/python -m pytest

lint: $(VENV)/installed-test  ## style and types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --editable .
	touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(VENV)/bin/python -m pip install --quiet --editable ".[test]"
	# It plays sound fonts; its loudspeaker library, which would have to be compiled, is not needed. Without it tests skip.
	-$(VENV)/bin/python -m pip install --quiet --no-deps tinysoundfont
	touch $@

clean:
	rm -rf $(VENV) cmac-demo
