# Each target sets up what it needs. PYTHON, VENV and DJANGO select another environment:
#   make test PYTHON=python3.12 VENV=.venv-3.12 DJANGO='Django~=6.0.0'
PYTHON ?= python3
VENV ?= .venv
DJANGO ?= Django
ARGS ?=
LANGUAGES := de es fr ja pt_BR
RUN := $(VENV)/bin/python
# Some peers need a newer Python than the library.
PEERS_PYTHON ?= $(shell for python in python3.12 python3.13 \
	$$HOME/.pyenv/versions/3.1[23].*/bin/python $(PYTHON); do \
	$$python -c '' 2>/dev/null && echo $$python && break; done)

.PHONY: help test pictures chaos soak bench bench-lateness bench-admin demo demo-admin lint format types messages \
	docs clean

help:  ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

test: $(VENV)/.test  ## Run the tests on each reachable database; ARGS go to pytest
	$(RUN) -m tests $(ARGS)

pictures: $(VENV)/.test  ## Take the pictures of the documentation, in a browser
	$(RUN) -m tests.browser.pictures

demo: $(VENV)/.demo  ## Show the main job on SQLite: schedule, run, and the result
	$(RUN) demo/manage.py demo

demo-admin: $(VENV)/.demo  ## Serve the admin of the demo; prints the login
	$(RUN) demo/manage.py demo --serve

chaos: $(VENV)/.test  ## Kill and stop workers on each reachable database, and report lost or doubled jobs
	$(RUN) -m tests.chaos $(ARGS)

soak: $(VENV)/.test  ## Run all kinds of jobs for 20 minutes, and report wrong counts and growing memory
	$(RUN) -m tests.soak $(ARGS)

bench:  ## Measure throughput in turn with other task queues, and check the bounds
	$(MAKE) --no-print-directory .venv-bench/.peers VENV=.venv-bench PYTHON=$(PEERS_PYTHON)
	.venv-bench/bin/python -m benchmarks $(ARGS)

bench-lateness: $(VENV)/.bench  ## Measure how late jobs start, in turn with Celery and huey
	$(RUN) -m benchmarks.lateness $(ARGS)

bench-admin: $(VENV)/.bench  ## Measure the pages of the admin with a million jobs, on PostgreSQL
	$(RUN) -m benchmarks.admin $(ARGS)

lint: $(VENV)/.lint  ## Check style, formatting and the direction of imports
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports --no-cache

format: $(VENV)/.lint  ## Fix what ruff can fix
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

types: $(VENV)/.types  ## Check the types
	$(VENV)/bin/mypy

messages: $(VENV)/.test  ## Update the translations from the source, and compile them, with GNU gettext
	cd src/django_future && $(abspath $(VENV))/bin/django-admin makemessages --verbosity 0 \
		--no-obsolete --add-location file $(addprefix --locale ,$(LANGUAGES))
	sed -i.old '/^"POT-Creation-Date:/d' src/django_future/locale/*/LC_MESSAGES/django.po
	rm src/django_future/locale/*/LC_MESSAGES/django.po.old
	cd src/django_future && $(abspath $(VENV))/bin/django-admin compilemessages --verbosity 0 \
		$(addprefix --locale ,$(LANGUAGES))

docs: $(VENV)/.docs  ## Build the documentation into docs/_build/html
	$(RUN) -m sphinx --fail-on-warning --keep-going --quiet docs docs/_build/html

clean:  ## Remove everything that the other targets created
	rm -rf .venv* .cache .mypy_cache .pytest_cache .ruff_cache docs/_build demo/demo.sqlite3*

$(VENV)/.%: pyproject.toml
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade pip
	$(RUN) -m pip install --quiet --editable . --group $* '$(DJANGO)'
	touch $@
