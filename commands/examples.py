"""An example of every command, shown at the end of its help and parsed by a test."""

from __future__ import annotations

EXAMPLES: dict[str, str] = {
    "query": 'captrawl query "golden retriever" goldie --index captions --limit 50',
    "count": "captrawl count --classes birds.csv --index captions",
    "similar": 'captrawl -C birds similar --text "a red bus" --in images -k 50',
    "serve": "captrawl -C birds serve --port 8000",
    "demo": "captrawl demo demo",
    "doctor": "captrawl -C birds doctor",
    "index vectors": "captrawl index vectors /data/laion --model ViT-B-32-quickgelu/openai --index captions",
    "index captions": "captrawl index captions /data/laion400m --to captions --workers 8",
    "index files": "captrawl index files captions",
    "index remove": "captrawl index remove coyo700m --from captions",
    "index push": "captrawl index push captions hf://datasets/lab/captions --licence CC-BY-4.0",
    "index pull": "captrawl index pull hf://datasets/lab/captions captions",
    "index back": "captrawl index back http://127.0.0.1:9200/laion",
    "init": "captrawl init birds --classes birds.csv --index captions",
    "synonyms": "captrawl -C birds synonyms --dry-run",
    "judge": "captrawl -C birds judge --base-url http://localhost:11434/v1 --model qwen2.5vl --questions 30",
    "match": "captrawl -C birds match --sample 2000",
    "download": "captrawl -C birds download --resize 256",
    "embed": "captrawl -C birds embed --model ViT-B-16 --pretrained openai",
    "sample": "captrawl -C birds sample --name near --rank T2T --keep 'T2I>=0.25' -n 100",
    "purge": "captrawl -C birds purge --host example.org --list takedowns.txt",
    "plan": "captrawl -C birds plan",
    "run": "captrawl -C birds run",
    "slurm": "captrawl -C birds slurm --parts 16 --partition long --submit",
    "status": "captrawl -C birds status --verify",
    "evaluate": "captrawl -C birds evaluate --labelled test.txt --root /data/birds",
    "report": "captrawl -C birds report",
    "descriptors": "captrawl descriptors test.txt -o test.parquet",
    "export": "captrawl -C birds export --to imagefolder birds-images",
    "classes convert": "captrawl classes convert birds.csv --to json -o classes.json",
    "mcp": "captrawl -C birds mcp",
    "import swat": "captrawl import swat /data/retrieved/aves --to birds",
}
"""By the words behind ``captrawl``."""
