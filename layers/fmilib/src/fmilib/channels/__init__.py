"""How payloads travel between ranks: one interface, several ways."""
