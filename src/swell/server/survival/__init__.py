"""What happens when a generation can't go on where it is: causes, what may be tried, and the record it goes on from."""
