"""`swell worker`: lends this machine's processor and memory to models that are loaded elsewhere."""
