"""`python -m data_build` runs the command `mmaffin`."""

from data_build.cli import main

main()
