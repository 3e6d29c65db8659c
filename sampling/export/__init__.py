"""A sample for other tools.

formats        the formats by name, and the export into a new folder
sample         what an export is made of
class_folders  how folders are named after classes
image_files    exported pictures that no edit carries back
layouts        ImageFolder, WebDataset, Hugging Face
clip_csv       open_clip's table of paths and captions
fiftyone_json  a FiftyOne data set of the whole pools
urls           licences and Croissant metadata, no image
swat           the folders and files of SWAT's scripts
"""
