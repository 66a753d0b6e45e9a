"""`python -m flows.cli`: the command line with the code of the working directory."""

from flows.cli import main

main()
