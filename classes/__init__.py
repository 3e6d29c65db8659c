"""Class lists: what a class is, every file format of lists, and what is checked of each list.

In reading order:

    species     scientific names taken apart: what captions say of them
    model       ClassEntry and Synonym, the records; most_common_name by SWAT's rule
    checks      validated: the defects of a list; check_classes and shared_synonyms: its warnings
    native      classes.json, captrawl's own document
    metrics     SWAT's and REAL's metrics JSON, and the files on the way to it
    json_lists  the other JSON kinds: lists, mappings, Hugging Face features
    layouts     lists as well-known data sets ship them: lines with ids, data.yaml
    tables      one name a line, CSV and TSV
    files       on top: FORMATS, load_classes, save_classes, convert, ImageFolder
"""
