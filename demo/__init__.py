"""The drawn web and the small model: the whole pipeline without a network.

In reading order:

    words     what people write (words.toml): the classes, and what else a phrase may mean
    drawings  the pictures
    captions  captions as the web has them
    plan      every row of the corpus: what its link answers, and what its picture shows
    web       the drawn web on disk: pictures, corpus, truth
    server    serves it on loopback, as real hosts do
    run       the demo from end to end, judged by the truth
    train     makes model/, the small open_clip model
    accuracy  how well that knows drawings it has never seen
"""
