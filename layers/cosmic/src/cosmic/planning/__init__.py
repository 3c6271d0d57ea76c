"""From an uploaded manifest to a started run: inputs, plan, admission."""
