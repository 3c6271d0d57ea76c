"""FMI, the FaaS Message Interface: MPI-like messages between functions."""
