"""What outlives a stack: its objects, executions and events, in a folder of the user's."""
