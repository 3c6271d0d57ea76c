"""Work sharing: idle ranks compute batches of late ones."""
