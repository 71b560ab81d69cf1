"""ZeroMQ: frames on request, and the control channel."""
