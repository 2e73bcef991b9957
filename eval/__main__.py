"""`python -m eval` is `mmaffben`."""

from eval.cli import main

main()
