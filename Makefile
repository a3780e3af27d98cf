# Every target builds the environment it needs. `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
GYM_PYTHON ?=
# The documented release; `make facts` takes another one to compare with.
DOCUMENTED := $(shell sed -n 's/^gym = \["nemo-gym==\([^"]*\)".*/\1/p' pyproject.toml)
GYM_VERSION ?= $(DOCUMENTED)
GYM_MINIMUM_PYTHON := 3.13.14
# pinned (constraints.txt), lowest or highest: which end of the declared ranges to install.
VERSIONS ?= pinned
PAGE ?=
PORT ?= 8080

# The declared dependencies alone: another change to pyproject.toml builds no environment again. What is there already stays.
GROUPS := build/dependency-groups
$(shell mkdir -p build; read() { sed -n '/^\[dependency-groups\]/,/^\[tool/p' pyproject.toml; }; \
  if [ ! -e $(GROUPS) ]; then read > $(GROUPS); touch -t 197001020000 $(GROUPS); \
  elif ! read | cmp -s - $(GROUPS); then read > $(GROUPS); fi)

BIN := .venv/bin
UV := $(BIN)/uv
PIN := $(if $(filter pinned,$(VERSIONS)),--constraint constraints.txt,$(if $(filter lowest,$(VERSIONS)),--resolution lowest-direct))
# A process for each core; docs/_ext/faster.py shares the pages out among them.
SPHINX := $(BIN)/sphinx-build -c . -j auto -W -n --keep-going -q
PYTEST := $(BIN)/python -m pytest
PAGE_FILE = $(or $(wildcard docs/training/how-to/$(PAGE).md docs/training/reference/$(PAGE).md docs/training/reference/*/$(PAGE).md docs/training/$(PAGE).md),$(error There is no page named "$(PAGE)". Name one, for example PAGE=optimize-rollout-collection))

.PHONY: help html livehtml check test test-page outputs plots facts faults measure bench findings newest linkcheck lock gym trainers browser slurm graphviz clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/' | expand -t 20
	@echo
	@echo "  PYTHON=...      interpreter for the site, 3.11 or newer (default: python3)"
	@echo "  GYM_PYTHON=...  interpreter for NeMo Gym $(DOCUMENTED) (default: a $(GYM_MINIMUM_PYTHON), installed if need be)"
	@echo "  VERSIONS=...    pinned (default), lowest or highest versions of the declared dependencies"

html: .venv/docs  ## build the site into build/html
	@$(SPHINX) docs build/html
	@echo "The site is ready. Open build/html/index.html"

livehtml: .venv/live  ## serve the site with live reload at http://127.0.0.1:8080, or PORT=...
	@$(BIN)/sphinx-autobuild -c . -n --host 127.0.0.1 --port $(PORT) --watch conf.py --re-ignore '\.pyc$$|__pycache__' docs build/live

check: html .venv/test  ## the fast part of `make test`: structure, links, strict build, scripts
	@$(PYTEST) tests -m "not live and not gym" --numprocesses auto --dist loadfile

test: html .venv/test gym trainers browser slurm graphviz  ## run every page against the real package, and all other tests
	@PYTHONPATH=tests/support:docs/_ext $(BIN)/python tests/support/side_by_side.py
	@$(SPHINX) docs build/html

test-page: .venv/test gym trainers slurm graphviz  ## run one page: make test-page PAGE=NAME
	@$(PYTEST) $(PAGE_FILE)

outputs: .venv/test gym trainers slurm graphviz  ## record again the outputs that pages show: all pages, or PAGE=NAME; NUMBERS=yes puts numbers where ... hides them
	@$(PYTEST) $(if $(PAGE),$(PAGE_FILE),docs) --update-outputs $(if $(NUMBERS),--numbers)
	@PYTHONPATH=tests/support $(BIN)/python tests/support/record.py
	@git --no-pager diff --stat -- docs 2>/dev/null || true

facts: gym  ## read options, flags and fields from the package into docs/_ext/facts.json; GYM_VERSION=0.6.0 prints what changed since
ifeq ($(GYM_VERSION),$(DOCUMENTED))
	@.venv-gym/bin/python -m gym_facts docs/_ext/facts.json
else
	@mkdir -p build && python=$$(GYM_PYTHON='$(GYM_PYTHON)' MINIMUM=$(GYM_MINIMUM_PYTHON) UV=$(UV) tests/support/find_python.sh) || exit 1; \
	$(UV) venv -q --clear --python "$$python" build/gym-$(GYM_VERSION) \
	&& { $(UV) pip install -q --python build/gym-$(GYM_VERSION)/bin/python --python-version $(GYM_MINIMUM_PYTHON) nemo-gym==$(GYM_VERSION) \
	     || { echo "nemo-gym $(GYM_VERSION) cannot be installed. Is it a release? For example: make facts GYM_VERSION=0.6.0" >&2; exit 1; }; } \
	&& build/gym-$(GYM_VERSION)/bin/python -m gym_facts build/facts-$(GYM_VERSION).json \
	&& $(BIN)/python -m gym_facts.difference build/facts-$(GYM_VERSION).json docs/_ext/facts.json $(if $(CHANGES),--page docs/_ext/changes.json)
endif

plots: .venv/docs  ## draw the figures again whose script or data changed, into docs/_plots
	@$(BIN)/python docs/_ext/plot.py

faults: .venv/test  ## plant faults in a copy, one by one, and see each caught: all, or FAULT=WORD
	@$(BIN)/python tests/support/planted_faults.py $(if $(FAULT),'$(FAULT)')

measure: html .venv/test browser  ## weight, painting and build times of every page against their budgets; PAGE=NAME for one
	@$(BIN)/python tests/support/measure.py $(PAGE)

bench: .venv/bootstrap  ## time the build, `make check` and `make test` at two commits, side by side: make bench BASE=COMMIT
	@$(BIN)/python tests/support/bench.py $(or $(BASE),$(error Name the commit to compare with: make bench BASE=COMMIT))

findings: .venv/bootstrap  ## run every script in findings/, one line each: is the surprise still there?
	@failed=0; for script in findings/*.sh; do name=$$(basename "$$script" .sh); mkdir -p build/findings; \
	if UV="$(abspath $(UV))" bash "$$script" > "build/findings/$$name.log" 2>&1; then echo "as described  $$name"; \
	else failed=1; echo "CHANGED       $$name (build/findings/$$name.log)"; fi; done; exit $$failed

figures: html .venv/test browser  ## what each page asks of its readers, against the limits; PAGE=NAME for one
	@$(BIN)/python tests/support/page_figures.py $(PAGE)

newest: .venv/bootstrap  ## run everything against the newest releases that the ranges allow, in a copy, and report what changed
	@tests/support/newest.sh $(DOCUMENTED) $(GYM_MINIMUM_PYTHON) $(UV)

linkcheck: .venv/docs  ## ask the network about every external link
	@$(BIN)/sphinx-build -c . -b linkcheck -q docs build/linkcheck

lock: .venv/bootstrap  ## pin the newest versions within the declared ranges
	@$(UV) pip compile -q --universal --upgrade --no-annotate --no-header --no-emit-index-url --no-emit-find-links --group docs --group live --group test -o constraints.txt pyproject.toml
	@$(UV) pip compile -q --python-version $(GYM_MINIMUM_PYTHON) --upgrade --no-annotate --no-header --no-emit-index-url --no-emit-find-links --group gym -o constraints-gym.txt pyproject.toml
	@$(UV) pip compile -q --universal --python-version 3.11 --upgrade --no-annotate --no-header --no-emit-index-url --no-emit-find-links --group trainers pyproject.toml \
	  | grep -vE '^(cuda|nvidia|triton)' > constraints-trainers.txt

clean:  ## remove everything that make built
	@rm -rf .venv .venv-gym .venv-trainers build .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The environments. Each is built again when the declared or pinned dependencies change.

.venv/bootstrap:
	@command -v $(PYTHON) >/dev/null && $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed ($(PYTHON) is not). Install it, then name it: make PYTHON=/path/to/python3.13" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo "Python's venv module is missing. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check uv --constraint constraints.txt
	@touch $@

.venv/docs .venv/live .venv/test: .venv/%: .venv/bootstrap $(GROUPS) constraints.txt
	@echo "Installing what \`make\` needs ($*) into .venv ..."
	@$(UV) pip install -q --compile-bytecode --python $(BIN)/python $(PIN) --group docs $(if $(filter-out docs,$*),--group $*)
	@touch $@

gym: .venv-gym/ready  ## install the package under documentation into .venv-gym

.venv-gym/ready: .venv/bootstrap $(GROUPS) constraints-gym.txt
	@python=$$(GYM_PYTHON='$(GYM_PYTHON)' MINIMUM=$(GYM_MINIMUM_PYTHON) UV=$(UV) tests/support/find_python.sh) || exit 1; \
	echo "Installing NeMo Gym $(DOCUMENTED) into .venv-gym ($$python) ..."; \
	rm -rf .venv-gym && $(UV) venv -q --python "$$python" .venv-gym \
	&& $(UV) pip install -q --python .venv-gym/bin/python --python-version $(GYM_MINIMUM_PYTHON) --compile-bytecode \
	   --group gym --constraint constraints-gym.txt
	@touch $@

trainers: .venv-trainers/ready .venv-trainers/loaders  ## install the trainers whose loaders the guides' files are fed to into .venv-trainers

# torch by pip, which may be configured for a place that has a CPU build; uv does not read pip's configuration.
.venv-trainers/ready: .venv/bootstrap $(GROUPS) constraints-trainers.txt
	@echo "Installing the trainers into .venv-trainers ..."
	@rm -rf .venv-trainers && $(BIN)/python -m venv .venv-trainers
	@.venv-trainers/bin/pip install --quiet --disable-pip-version-check torch --constraint constraints-trainers.txt
	@$(UV) pip install -q --python .venv-trainers/bin/python --compile-bytecode --group trainers --constraint constraints-trainers.txt
	@$(UV) pip install -q --python .venv-trainers/bin/python --compile-bytecode --group loaders --no-deps
	@touch $@

.venv-trainers/loaders: .venv-trainers/ready constraints-loaders.txt
	@for network in "" --offline; do \
	  $(UV) pip install -q $$network --python .venv-trainers/bin/python --no-deps --requirement constraints-loaders.txt \
	  && $(UV) pip install -q $$network --python .venv-trainers/bin/python --python-version 3.12 --no-deps axolotl==0.21.0 && break; \
	done 2>build/loaders.log || { cat build/loaders.log >&2; exit 1; }
	@touch $@

slurm: .venv/test  ## find a Slurm for the pages that submit jobs, or install one
	@$(BIN)/python tests/support/slurm.py

graphviz: .venv/test  ## find Graphviz for the page that profiles, or install it
	@$(BIN)/python tests/support/graphviz.py

browser: .venv/test  ## find a browser for the tests, or install one
	@$(BIN)/python tests/support/browser.py
