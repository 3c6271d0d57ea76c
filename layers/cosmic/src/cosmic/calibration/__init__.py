"""What a rank takes, measured on this machine in processes of its own."""
