"""The download stage: matches → images/ and images.parquet.

stage          the stage and its status
session        the ledger, spool and folders of a workspace, open under one lock
enqueue        matches.parquet → the ledger's queue
requeue        rows that changed settings judge anew
crawl          the loop that fetches and packs at once
until          how many URLs a class needs next, until it has enough images
placeholders   one picture under many URLs: dropped, or the best-ranked kept
look_alikes    … which images show one picture
parts          shares of the hosts, each in a workspace of its own, and their merge
url_plan       urls.parquet for img2dataset on another cluster
archives       pictures in tars → the ledger and images/, before the web is asked
outlook        what a download would do: URLs, hosts, refusals, images to expect
adopt          img2dataset's output taken back
mirror         copies of other hosts' pictures, asked before the hosts are
link           images on this disk, or in another workspace, taken over by hard link
"""
