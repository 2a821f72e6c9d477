"""HTTP: what clients say to Swell and how they are answered. It computes nothing and decides nothing."""
