"""The rendezvous: where ranks of a job find each other, and learn when one is lost."""
