"""How ranks reach each other: listening, connecting, hole punching, relays."""
