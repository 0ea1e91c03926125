"""`python -m runpass`: the command line."""

from runpass.cli.main import main

if __name__ == "__main__":
    main()
