"""How often Python looks for reference cycles in the processes that handle events."""

from __future__ import annotations

import atexit
import gc

_YOUNG, _MIDDLE, _OLD = 50_000, 20, 50


def calm() -> None:
    """Look seldom, and never again at what is there already.

    Events are trees that reference counting frees; a batch of them would set off dozens of searches for cycles that it
    does not have. The default looks after 700 new objects, which is seven events.
    """
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)  # libraries count what was never freed at the end, and complain
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
