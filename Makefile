# make run: the main study to its report. make test: everything that CI checks. See README.
PYTHON ?= python3
BIN := .venv/bin
STUDY ?= configs/studies/chronic_four_arms.yaml

.PHONY: run test slow lint docs bench calibrate lock clean

run: .venv/installed
	$(BIN)/sim run $(STUDY)

test: lint
	$(BIN)/pytest -n 2 -m "not slow"

# fits and clusters that take minutes
slow: .venv/installed
	$(BIN)/pytest -m slow

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# the documents as a site in build/docs; a warning is an error
docs: .venv/installed
	$(BIN)/sphinx-build -q -W --keep-going -b html docs build/docs

bench: .venv/installed
	$(BIN)/python -m benchmarks

# an hour or more; goes on where it was stopped
calibrate: .venv/installed
	nice -n 15 $(BIN)/python -m tests.calibration

lock: .venv/installed
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--extra dev --extra cluster --output-file requirements.lock pyproject.toml

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Python 3.11 or newer is needed, this is ' + sys.version)"
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	touch .venv/installed

clean:
	rm -rf .venv results/*/ build dist *.egg-info
