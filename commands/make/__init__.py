"""Build a list: the commands from a class list to a training list, in their order.

index           fill a caption index, go back to the one before
index_copies    push it elsewhere, pull it from there
index_files     list what it contains, take some of it out
index_vectors   vectors that were published beside a corpus
init            make a workspace
synonyms        ask a language model, filter, review
synonym_review  the review in the terminal
synonym_asking  questions to a language model, and what came of them
synonym_costs   what asking takes: questions, tokens, dollars
more_names      names from a taxon table, plurals that the index has
match           find the rows whose captions name a class
plan            what a run would fetch and embed, and how long it would take
download        fetch the matched images and pack them
embed           vectors of images and captions, and their FAISS indices
judge           ask a vision model about the pictures in doubt
sample          choose the images of each class
run             every stage that isn't done
slurm           a run as job arrays of a cluster
shapes          what their --json prints
"""
