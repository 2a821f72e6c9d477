"""`python -m swell.runner FD PARENT`"""

import sys
from typing import Any, cast

if __name__ == "__main__":
    # asyncio imports ssl where there is one, which costs 4.6 MB (measured); a runner speaks to nobody but its server
    sys.modules["ssl"] = cast(Any, None)
    from swell.runner.process import main

    main()
