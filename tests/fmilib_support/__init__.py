"""Real processes, real sockets and a real rendezvous for the tests of fmilib."""
