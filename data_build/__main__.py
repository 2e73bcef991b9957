from data_build.cli import main

main()
