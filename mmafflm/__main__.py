"""`python -m mmafflm` is `mmafflm`."""

from mmafflm.cli import main

main()
