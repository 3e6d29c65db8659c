"""One task's folder. In reading order:

workspace   the folder: paths, locks, captrawl.lock.json
settings    captrawl.toml: every setting, its type, default and bounds
settings_edits  … changed where a person's comments stay
checksums   the hash of every artefact, and what changed since
plan_record plan.json: what the last plan expected
stages      what a stage is: its files, what it reads, how it stands, how it is run
parts       a share of a stage's work, and where it lies
pipeline    the stages in order, and their runner; above indexer/ and sampling/
doctor      what users trip over, looked at before they do; above everything that it looks at
"""
