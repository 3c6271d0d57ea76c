"""What CAI's programs make and read, made anew for the tests."""
