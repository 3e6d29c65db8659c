"""The commands of the CLI, one module a theme: parse, call one library function, show the result."""
