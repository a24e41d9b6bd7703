"""`python -m cmac_hub` is the `cmac` command."""

import sys

from cmac_hub.cli import main

if __name__ == "__main__":
    sys.exit(main())
