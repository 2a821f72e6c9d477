"""How many threads compute: what the machine can give now, and the policy that decides from it."""
