.PHONY: demo test lint types docs bench

test: lint types        ## everything that CI checks
	python -m pytest

lint:
	ruff check .
	ruff format --check .

types:
	pyright --pythonpath "$$(command -v python)"

docs:                   ## docs/cli.md from --help
	python docs/make_cli.py > docs/cli.md

demo:
	captrawl demo

bench:                  ## every benchmark prints JSON
	for script in benchmarks/*.py; do python $$script; done
