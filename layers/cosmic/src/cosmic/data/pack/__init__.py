"""Files of many formats into native partitions, and a look at what is in them."""
