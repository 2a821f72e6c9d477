"""Where everything that happens is reported: the events, the records of requests, and the one observer of both."""
