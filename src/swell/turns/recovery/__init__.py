"""How a turn goes on when its runner is lost or short of memory."""
