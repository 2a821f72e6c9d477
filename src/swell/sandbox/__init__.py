"""Where chat templates run and JSON schemas are checked: programs of strangers, which get processes with limits."""
