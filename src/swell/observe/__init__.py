"""Who is told what happens: Prometheus, traces, the log, and live views."""
