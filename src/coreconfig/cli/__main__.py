"""`python -m coreconfig.cli` is `coreconfig`."""

from coreconfig.cli.main import main

if __name__ == "__main__":
    main()
