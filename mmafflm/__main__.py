"""Make `python -m mmafflm` run the command `mmafflm`."""

from mmafflm.cli import main

main()
