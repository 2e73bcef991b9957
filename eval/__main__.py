"""`python -m eval` runs the command `mmaffben`."""

from eval.cli import main

main()
