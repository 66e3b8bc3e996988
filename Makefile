# What can be done with this checkout. `make` alone lists it.
#
# PYTHON names the interpreter that the environment in .venv is made with (3.11 or newer); without
# it that is python3, or another one that is here and much faster (deploy/interpreter.sh).
# Settings of the server are environment variables (README.md): PORT=8081 make run

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip -qq --no-input --disable-pip-version-check
INSTALL := $(PIP) install --root-user-action=ignore --only-binary :all: --require-hashes

# Test files side by side, in three processes of which each has a Postgres and servers of its own;
# in the order of tests/conftest.py, not by how many tests are in them.
BESIDE := -n 3 --dist loadfile --no-loadscope-reorder

# Tests of tests/web in which the HTTP server itself has a part: bodies, headers, connections. What
# is behind it is the same for both servers.
WIRE := all_bulk_data bounds capabilities conditional_requests conformance cors hostile_posted \
	hostile_queries hostile_uploads keeping large leaving logs ohif pages ranges real_client responses \
	retrieve_resources search_forms store_answers store_instances store_media store_metadata \
	tags_and_bodies

# Tests start hundreds of processes. Compiling all of it in each, as where nobody keeps bytecode,
# would be a sixth of their time.
test test-uvicorn test-s3 test-browser: export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help run ohif test test-uvicorn test-s3 test-browser bench bench-publish bench-store bench-memory bench-search bench-retrieve bench-render test-crash soak fuzz conformance conformance-orthanc conformance-mutations statement check format requirements lock
.DELETE_ON_ERROR:

help: ## List the verbs
	@sed -n 's/^\([a-z0-9-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

run: $(VENV)/.ready-to-run ## Run the server on http://127.0.0.1:8080 until Ctrl-C; data in ./data
	@exec $(PY) -m dicomweb_server serve

ohif: $(VENV)/.ready-to-run ## Fetch the viewer OHIF (needs npm); the server then shows it at /ohif/
	@$(PY) -m deploy.ohif.fetch

test: $(VENV)/.ready-to-develop ## Run every test (DICOM_CORPUS names a folder of more files)
	@$(PY) -m pytest $(BESIDE) $(ARGS)

test-uvicorn: $(VENV)/.ready-to-develop ## Run the tests that an HTTP server has a part in with uvicorn as that
	@TEST_SERVER=uvicorn DICOM_CORPUS= $(PY) -m pytest $(BESIDE) $(WIRE:%=tests/web/test_%.py) $(ARGS)

test-s3: $(VENV)/.ready-to-develop ## Run the tests of the blob stores on Ceph's S3 server (needs its packages)
	@$(PY) -m tests.blobs.on_ceph $(ARGS)

test-browser: $(VENV)/.ready-to-develop ## Use OHIF and the web page in Chromium; screenshots in build/browser
	@PYTHON=$(PY) tests/browser/run.sh

bench: $(VENV)/.ready-to-develop ## Measure all beside Orthanc and what the machine allows (ARGS=--quick: 6 minutes)
	@$(PY) -m conformance.benchmark.public $(ARGS)

bench-publish: $(VENV)/.ready-to-develop ## Write the last run of bench into README.md
	@$(PY) -m conformance.benchmark.public.publish $(ARGS)

bench-store: $(VENV)/.ready-to-develop ## Measure storing and reading beside Orthanc and a bare receiver (ARGS= for options)
	@$(PY) -m conformance.benchmark --start --one-worker --orthanc --quick $(ARGS)

bench-memory: $(VENV)/.ready-to-develop ## Measure the memory that uploads of 10 GB and of 10,000 parts take
	@$(PY) -m conformance.benchmark --start --memory $(ARGS)

bench-search: $(VENV)/.ready-to-develop ## Measure searches at 100,000 studies and more, up to N (1,000,000)
	@$(PY) -m conformance.benchmark.search --up-to $(or $(N),1000000) $(ARGS)

bench-retrieve: $(VENV)/.ready-to-develop ## Measure retrieving beside Orthanc and nginx (ARGS=--list names the items)
	@$(PY) -m conformance.benchmark.retrieve --s3 $(ARGS)

bench-render: $(VENV)/.ready-to-develop ## Measure rendering beside Orthanc and the codecs alone (ARGS=--quick: 2 minutes)
	@$(PY) -m conformance.benchmark.render $(ARGS)

test-crash: $(VENV)/.ready-to-develop ## Kill the server 200 times while it stores (CRASH_ROUNDS, CRASH_SEED)
	@CRASH_ROUNDS=$${CRASH_ROUNDS:-200} $(PY) -m pytest -s tests/faults/test_kills.py $(ARGS)

soak: $(VENV)/.ready-to-develop ## Load and break the server for HOURS (1): nothing lost, nothing grows (build/soak)
	@$(PY) -m conformance.soak --hours $(or $(HOURS),1) $(ARGS)

fuzz: build/fuzz-venv/.ready ## Fuzz every parser for MINUTES (1) each (ARGS= names some); crashes in build/fuzz
	@build/fuzz-venv/bin/python -m tests.fuzz --minutes $(or $(MINUTES),1) $(ARGS)

conformance: $(VENV)/.ready-to-develop ## Hold our server to PS3.18 (URL= for another; reports in build/conformance)
	@mkdir -p build/conformance
	@$(PY) -m conformance $(or $(URL),ours) $(REPORTS) $(ARGS)

conformance-orthanc: $(VENV)/.ready-to-develop ## The same with Debian's Orthanc, if installed; what was judged of it in conformance/orthanc.md
	@mkdir -p build/conformance
	@$(PY) -m conformance.judged $(REPORTS) $(ARGS)

conformance-mutations: $(VENV)/.ready-to-develop ## See that each check of the suite can fail (some minutes)
	@mkdir -p build/conformance
	@$(PY) -m conformance.mutation --table build/conformance/mutations.md $(ARGS)

statement: $(VENV)/.ready-to-develop ## Run the suite, and write conformance/STATEMENT.md anew
	@$(PY) -m conformance.statement --run

REPORTS = --report build/conformance/report.html --junit build/conformance/junit.xml \
	--json build/conformance/report.json

check: $(VENV)/.ready-to-develop ## Lint, check the format, the types and the import contracts
	@$(PY) -m ruff check
	@$(PY) -m ruff format --check
	@$(PY) -m mypy
	@$(PY) -c 'from importlinter.cli import lint_imports_command as lint; lint()'

format: $(VENV)/.ready-to-develop ## Format the code and mend what can be mended
	@$(PY) -m ruff check --fix
	@$(PY) -m ruff format

requirements: $(VENV)/.ready-to-develop ## Write the table of mandatory attributes anew from highdicom's
	@$(PY) -m tests.dicom.iod_tables

# The locks hold hashes and no addresses, so that any registry's mirror will do. What they
# name stays at its version where it can; `make lock ARGS=--upgrade` takes the newest.
LOCK = build/uv/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url --no-emit-find-links $(ARGS) pyproject.toml

lock: $(VENV)/.made ## Write the lock files anew from pyproject.toml
	@$(PY) -m venv build/uv
	@build/uv/bin/python -m pip -qq --disable-pip-version-check install uv
	@$(LOCK) --extra build -o requirements.lock
	@$(LOCK) -c requirements.lock --all-extras -o requirements-dev.lock
	@echo 'atheris<3.1' | $(LOCK:pyproject.toml=-) -o tests/fuzz/requirements.lock

# The project itself, so that its command is there too: .venv/bin/dicomweb-server.
OURSELVES = $(PIP) install --root-user-action=ignore --no-index --no-deps --no-build-isolation -e .

# The environment. A stamp is there only if all before it went well, so that what was
# interrupted is done again; what is installed already is not asked for on the network.
$(VENV)/.made:
	@! $(PY) -m pip --version >/dev/null 2>&1 || { touch $@; exit 0; }; \
	python=$${PYTHON:-$$(deploy/interpreter.sh)}; \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo >&2 \
	"Python 3.11 or newer is needed. Name one with PYTHON, as in: make run PYTHON=python3.12"; \
	exit 1; }; \
	$$python -c 'import ensurepip, venv' 2>/dev/null || \
	{ echo >&2 "Python's venv is missing. On Debian: apt-get install python3-venv"; exit 1; }; \
	[ "$$python" = python3 ] || echo "Making $(VENV) with $$python"; \
	$$python -m venv $(VENV)
	@touch $@

$(VENV)/.ready-to-run: requirements.lock pyproject.toml | $(VENV)/.made
	@echo "Installing what the server needs into $(VENV); this takes a minute, once"
	@$(INSTALL) -r requirements.lock
	@$(OURSELVES)
	@touch $@

$(VENV)/.ready-to-develop: requirements-dev.lock pyproject.toml | $(VENV)/.made
	@echo "Installing what tests and checks need into $(VENV); this takes a minute, once"
	@$(INSTALL) -r requirements-dev.lock
	@$(OURSELVES)
	@touch $@

# Atheris has wheels for few versions of Python (3.0 is the last for 3.11) and no other use, so
# it stays out of the environment above; all else is that one's.
build/fuzz-venv/.ready: tests/fuzz/requirements.lock $(VENV)/.ready-to-develop
	@$(PY) -m venv build/fuzz-venv
	@$(INSTALL:$(PY)=build/fuzz-venv/bin/python) -r $<
	@$(PY) -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > \
		"$$(build/fuzz-venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/all_else.pth"
	@touch $@
