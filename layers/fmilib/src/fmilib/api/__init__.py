"""What users call: `connect`, messages, collectives, and a communicator's lifecycle."""
