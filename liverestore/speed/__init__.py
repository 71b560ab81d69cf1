"""How fast engines run here, beside what the machine can do and beside bare runtimes."""
