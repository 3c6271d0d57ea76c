"""What an operation takes and costs on each channel, and the channel to choose."""
