"""Everything that chooses: from a class's matches to a training list, and what is made of it.

task          what one sample is made from, checked before any work and hashed
methods       orders and conditions as values; SWAT's methods by name
auto          a folder: order and n by cross-validation on the shots
prompts       prompt embeddings: names × templates
shots         the user's labelled images, found and embedded
references    prompts, shots and test images of one task as vectors
vector_cache  keeps such vectors by content
rank_queries  prompts or shots that pools are ranked by before any image is fetched
pool          a class's matches joined with their images and vectors
pool_images   which image a URL has, in bounded memory
scores        the six products of a pool's rows
orders        a folder: scores of the whole task, blends, cuts
judge         a folder: what a vision model says of pictures in doubt
marks         what a person said of images
referee       who gets an image that several classes matched
copies        a folder: picture hashes, copies of test images and of each other
filters       what is kept of a pool, and why the rest is not
sample        the draw of a whole sample
recipes       what a sample is made by, in words: its name
outcome       what became of a sample: kept, short, why
files         NAME.txt, its companions and NAME.parquet, written and read
probe         linear probes, and the intervals of their accuracies
evaluate      accuracy of each sample on labelled images
export        a folder: a sample for other tools
report        a folder: the page, its charts and numbers
"""
