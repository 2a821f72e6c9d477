"""`python -m swell` is the `swell` command."""

import sys

from swell.cli.main import main

sys.exit(main())
