"""The commands of the CLI, one module a command: parse, call one library function, show the result.

explore  look around: the commands that only ask
make     build a list: from a class list to a training list
share    check and share
table    every command under its name, imported when it is asked for
options  options that several commands share, and the values made of them
enough   what download and run say of classes that have enough images
results  what several commands show of their results
examples an example of every command, at the end of its help
hints    what a wrong guess on the command line means
"""
