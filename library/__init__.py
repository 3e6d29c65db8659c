"""captrawl from Python: a workspace with its stages as methods and its files as tables.

workspace   TaskWorkspace, which is captrawl.Workspace: stages, tables, neighbours
samples     draw a sample by a choice and store it; the drawn samples by name
stored      settings that an option or an argument changes for good
tables      ArrowTable: Arrow, pandas, polars, and how it looks in a notebook
agent       what an agent may ask, as plain methods
mcp_server  the same on the wire, by the Model Context Protocol
slurm       a run as job arrays of a cluster
markup      the HTML of a table with pictures, every text escaped
"""
