from mmafflm.cli import main

main()
