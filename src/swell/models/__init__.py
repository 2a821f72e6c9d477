"""What models there are: names, files and what their headers say."""
