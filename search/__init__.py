"""Everything that asks: captions for phrases, stored vectors for neighbours, a language model for synonyms.

In reading order:

query        what is asked: phrases, prefix, exclusions and filters, as values that every engine reads alike
captions     the protocol of a caption engine, and the only place that tells a folder from an address
tantivy      the engine in a folder
elastic      the engine on an Elasticsearch cluster
inventory    what an index contains, corpus by corpus
match        classes and synonyms over an engine: frequencies, credit, matches
api          counts and rows of ad-hoc phrases, for the terminal, the page and notebooks
facets       what the rows of a question are like: hosts, licences, sizes, longer phrases
vectors      CLIP models, stored embeddings, exact and approximate neighbours
synonyms     synonyms from a language model, filtered and reviewed
"""
