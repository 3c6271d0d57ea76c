"""What goes over the wire: frames, encoded values, keys, payload authentication."""
