# The commands of this project; each does all the set-up that it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CLIENTS := .venv-clients
CONFORMANCE := .venv-conformance
PEERS := .venv-bench
WEB_FRAMEWORK ?= django

IMAGE := multicloud-broker:0.1.0

COMPILED := build/compiled

.PHONY: run compiled test conformance faults soak soak-memory fuzz lint bench instructions docs image image-test audit requirements clean

run: $(VENV)/installed  ## start the broker with its simulators, ready to try
	@WEB_FRAMEWORK=$(WEB_FRAMEWORK) exec $(BIN)/python -m app demo

compiled: $(COMPILED)/made  ## in build/compiled, the broker as the image has it: its data path compiled; needs gcc and Python's headers

test: $(VENV)/installed $(CLIENTS)/installed lint  ## all tests, both frameworks
	$(BIN)/pytest -n 2 --dist loadfile --ignore tests/container --ignore tests/conformance

conformance: $(VENV)/installed $(CONFORMANCE)/installed  ## others' tools against the running broker; skips those that are not installed
	$(BIN)/pytest -rs -n 2 --dist loadfile tests/conformance

faults: $(VENV)/installed  ## every row of the fault table in long form, some 30 minutes; writes docs/faults.md
	@records=$$(mktemp -d); FAULTS=long FAULTS_RECORDS=$$records $(BIN)/pytest tests/faults; status=$$?; \
	$(BIN)/python -m tests.faults.report $$records; rm -r $$records; exit $$status

soak: $(VENV)/installed  ## half an hour of mixed VoLTE load with faults: slopes and a picture; SOAK="--minutes N --picture FILE"
	$(BIN)/python -m tests.soak $(SOAK)

soak-memory: $(VENV)/installed  ## 1 GiB up and down between fast and slow peers, every combination: growth and seconds of each
	SOAK=1 $(BIN)/pytest -rP tests/rules/test_memory.py

lint: $(VENV)/installed  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fuzz: $(VENV)/installed  ## a million cases against an oracle of HTTP; FUZZ="--cases N --seed N --level TEXT"
	$(BIN)/python -m tests.fuzz $(FUZZ)

bench: $(VENV)/installed  ## beside its peers and the limit, at most 30 minutes; FULL=1 for all of it, BENCH=--quick for a look
	$(BIN)/python -m bench.tools
	$(MAKE) --no-print-directory $(PEERS)/installed $(COMPILED)/made
	$(BIN)/python -m bench $(if $(FULL),--full) $(BENCH)

instructions: $(COMPILED)/made  ## instructions a request, which no noise touches, against a budget; BUDGET=--set to make a new one
	$(BIN)/python -m bench.instructions $(BUDGET)

docs: $(VENV)/installed  ## generate the configuration's table and the sample file
	$(BIN)/python -m app.conf.docs

image:  ## build the container image
	docker build --network=host --build-arg REVISION=$$(git rev-parse HEAD 2>/dev/null || echo unknown) -t $(IMAGE) .

image-test: $(VENV)/installed image  ## test the image with a real engine
	IMAGE=$(IMAGE) $(BIN)/pytest tests/container

audit: $(VENV)/installed  ## known vulnerabilities of the requirements, where the package index tells of them; never fatal
	-$(BIN)/pip-audit --disable-pip --require-hashes --progress-spinner off -r requirements.txt

requirements:  ## compile the pins from the .in files, for Python 3.11 to 3.13
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade requirements.in -o requirements.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade requirements-dev.in -o requirements-dev.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade docker/requirements-sbom.in -o docker/requirements-sbom.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade docker/requirements-compile.in -o docker/requirements-compile.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade tests/conformance/requirements.in -o tests/conformance/requirements.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade bench/requirements.in -o bench/requirements.txt
	uv pip compile --quiet --python-version 3.11 --generate-hashes --upgrade tests/clients/requirements.in -o tests/clients/requirements.txt

clean:  ## remove the environments
	rm -rf $(VENV) $(CLIENTS) $(CONFORMANCE) $(PEERS) build

$(COMPILED)/made: docker/compile.py entrypoint.sh $(shell find app -not -name '*.pyc' -not -name __pycache__) $(VENV)/installed
	$(BIN)/python docker/compile.py $(COMPILED)
	@cp entrypoint.sh $(COMPILED) && touch $@

$(VENV)/installed: requirements-dev.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

$(CLIENTS)/installed: tests/clients/requirements.txt
	$(PYTHON) -m venv $(CLIENTS)
	$(CLIENTS)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r tests/clients/requirements.txt
	@touch $@

$(CONFORMANCE)/installed: tests/conformance/requirements.txt
	$(PYTHON) -m venv $(CONFORMANCE)
	$(CONFORMANCE)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r tests/conformance/requirements.txt
	@touch $@

$(PEERS)/installed: bench/requirements.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r bench/requirements.txt
	@touch $@
