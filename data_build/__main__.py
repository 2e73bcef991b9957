"""`python -m data_build` is `mmaffin`."""

from data_build.cli import main

main()
