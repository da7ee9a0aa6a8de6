# From a bare Python 3.11 or later:
#   make run     simulate the Zhongwei study and say where the report is      (make run ARGS="replications=2")
#   make test    the whole test suite; tests/test_house.py also runs ruff, mypy and the import contracts
#   make bench   what a visit costs, against the idiomatic SimPy model, and what each mechanism adds

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
WANTED := pyproject.toml constraints.txt

.PHONY: run test bench clean

run: $(VENV)/run.stamp
	$(BIN)/tiercare run study=zhongwei $(ARGS)

test: $(VENV)/test.stamp
	$(BIN)/pytest -n auto --dist loadfile $(ARGS)

bench: $(VENV)/run.stamp
	$(BIN)/python tests/bench.py $(ARGS)

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/run.stamp: $(VENV)/created.stamp $(WANTED)
	$(INSTALL) -e '.[fast]'
	@touch $@

$(VENV)/test.stamp: $(VENV)/created.stamp $(WANTED)
	$(INSTALL) -e '.[test]'
	@touch $@ $(VENV)/run.stamp

$(VENV)/created.stamp:
	@command -v $(PYTHON) >/dev/null || { echo 'tiercare needs Python 3.11 or later, and there is no $(PYTHON) here.' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "tiercare needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
	  echo 'No virtual environment could be made; on Debian and Ubuntu: apt-get install python3-venv' >&2; exit 1; }
	@touch $@
