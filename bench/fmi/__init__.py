"""fmilib side by side with Open MPI and gloo, and alone at a thousand ranks."""
