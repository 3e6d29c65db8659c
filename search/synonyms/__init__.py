"""Synonyms: ask a language model for them, filter them with CLIP, let a person review them.

In reading order:

    questions    what is asked of each class, and what that costs
    llm          one question to an OpenAI-compatible server, its retries and refusals
    names        an answer's text → clean names, with a reason for each that is dropped
    languages    names in other languages, and which models read them
    journal      JSON lines: every answer is on the disk as soon as it comes
    asking       a round of questions, several at once
    senses       what else the names mean, asked for and merged into `not`
    ask          all questions of a workspace, and the answers merged into classes.json
    text_filter  a synonym stays where its own class's prompt is the nearest
    proposals    words that part near captions from far ones: prefixes and exclusions
    forms        plurals and singulars, counted in the index
    taxa         vernacular names and accepted synonyms from a local taxon table
    review       how often each synonym matches, and whether its captions mean the class
"""
