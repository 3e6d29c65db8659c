"""The report of a workspace: a self-contained page, charts for papers, numbers as JSON.

stage          makes the report, and says how it stands
counts         matches, synonyms and downloads, counted
sample_counts  kept rows, drops and score histograms of each sample
examples       the rows that are shown with their pictures
data           all that the page tells
charts         every chart, drawn once by matplotlib
svg            a chart inside the page
thumbnails     pictures as data: URIs within a budget
page_text      text on it, and numbers, as the templates write them
page           the page, from templates/ and report.css
"""
