"""What the server and a runner say to each other: typed messages in length-prefixed frames over a private socket."""
