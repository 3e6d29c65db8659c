"""Check and share: how a workspace stands, what it is worth, and its ways in and out.

status       how every stage stands
purge        rows and pictures out of everything, for good
report       one page, its charts and its numbers
evaluate     which sample is worth training on
export       a sample for other tools
classes      class lists from one format to another
descriptors  the hashes of a test set, to be shared without its images
mcp          tools for an agent
import_swat  a workspace from what SWAT left
shapes       what their --json prints
"""
