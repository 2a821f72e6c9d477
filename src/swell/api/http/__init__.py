"""What every dialect of the API needs of HTTP."""
