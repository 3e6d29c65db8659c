"""Pictures that are copies of others: of test images that a sample must not contain, or of each other.

stored       the hashes of a workspace's pictures, made when they are first asked for
alike        which hashes are of copies
finder       what a draw asks of them
copy_model   a model that tells copies, from a TorchScript file
descriptors  a file with the hashes of test images, to be shared without them
guard        test images as hashes and vectors, and the rows that copy one
"""
