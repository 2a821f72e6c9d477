"""Where chat templates run: programs that come with a model, and so get a process of their own, with limits."""
