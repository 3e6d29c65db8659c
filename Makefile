.PHONY: demo test lint types docs site bench lowest

test: lint types        ## everything that CI checks
	python -m pytest -n 2

lint:
	ruff check .
	ruff format --check .

types:
	pyright --pythonpath "$$(command -v python)"

lowest:                 ## the core of the suite with the oldest versions that pyproject.toml allows
	python3 -m venv build/lowest && build/lowest/bin/pip install -q uv
	build/lowest/bin/uv pip install --python build/lowest/bin/python --resolution lowest-direct -e '.[test]' \
		torchvision==0.25.0  # torch 2.10's: another brings another torch
	build/lowest/bin/python tests/floors.py
	build/lowest/bin/python -W default -m pytest -W default tests/core tests/classes tests/workspace tests/commands \
		tests/search/engines tests/indexer -m "not elastic"

docs:                   ## docs/cli.md from --help, docs/json.md from the types
	python docs/make_cli.py > docs/cli.md
	python docs/make_json.py > docs/json.md

site:                   ## docs/ as a searchable site in build/site
	python -m mkdocs build --strict

demo:
	captrawl demo

bench:                  ## every benchmark prints JSON
	for script in benchmarks/*.py; do python $$script; done
