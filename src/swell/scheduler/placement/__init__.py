"""Where a model's layers go: what it needs, the planner, and what loads have taught about the estimates."""
