"""Changes to which models there are: creating, copying, deleting, pulling and pushing them."""
