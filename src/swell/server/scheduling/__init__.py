"""What is decided when models are loaded: whether a runner fits a request, what a model takes, who must make way."""
