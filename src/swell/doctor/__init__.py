"""`swell doctor`: what this machine is and has, measured, and what follows from it, judged apart from measuring."""
