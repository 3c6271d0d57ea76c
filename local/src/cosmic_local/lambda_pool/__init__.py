"""Lambda on this machine: execution environments, invocations, queues."""
