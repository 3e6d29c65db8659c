"""A copy's card: README.md as hubs show it, croissant.json as catalogues read it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from ...core.records import CROISSANT_CONTEXT
from ...core.version import __version__
from .manifest import MANIFEST, IndexManifest

HUB_LICENCES = frozenset({
    "cc0-1.0", "cc-by-2.0", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-4.0",
    "cc-by-nc-sa-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-4.0", "pddl", "odc-by", "odbl", "mit", "apache-2.0",
})  # fmt: skip
"""Licences of data that hubs have an identifier for; any other is named in words."""


def card(manifest: IndexManifest, where: str) -> str:
    """README.md: what is indexed, how, under what licence, and how it is used; ``where``: its address."""
    corpora = "\n".join(f"| {one.corpus} | {one.files:,} | {one.rows:,} |" for one in manifest.corpora)
    return f"""---
{_licence(manifest.licence)}
tags: [captrawl, caption-index]
---
# Captions of {manifest.title}, indexed

{manifest.rows:,} captions with their URLs, phrase-searchable with captrawl {__version__}.
{manifest.size:,} bytes in {len(manifest.files):,} files; index format {manifest.index_format}, \
analyzer {manifest.analyzer}.

| corpus | files | rows |
|---|---|---|
{corpora}

Licence of the captions' source: {manifest.licence}

    captrawl index pull {where} captions
    captrawl count "golden retriever" --index captions

`{MANIFEST}` has the path, size and sha256 of every file; `pull` checks them.
"""


def _licence(text: str) -> str:
    identifier = text.strip().lower()
    if identifier in HUB_LICENCES:
        return f"license: {identifier}"
    return f"license: other\nlicense_name: {json.dumps(text)}"


def croissant(manifest: IndexManifest, where: str) -> str:
    """croissant.json (MLCommons' Croissant 1.0, JSON-LD): the copy as a data set of files with hashes."""
    return json.dumps(
        {
            "@context": CROISSANT_CONTEXT,
            "@type": "sc:Dataset",
            "name": f"captrawl index of {manifest.title}",
            "description": f"{manifest.rows:,} captions of {manifest.title}, indexed for phrases",
            "conformsTo": "http://mlcommons.org/croissant/1.0",
            "license": manifest.licence,
            "url": where,
            "datePublished": datetime.now(UTC).date().isoformat(),
            "citeAs": f"captrawl index of {manifest.title}, {where}",
            "version": f"{manifest.index_format}.{manifest.analyzer}.0",
            "distribution": [
                {
                    "@type": "cr:FileObject",
                    "@id": file.path,
                    "name": file.path,
                    "contentUrl": file.name,
                    "contentSize": f"{file.size} B",
                    "encodingFormat": "application/octet-stream",
                    "sha256": file.sha256,
                }
                for file in manifest.files
            ],
        },
        indent=1,
    )
