"""The local stack: S3, Step Functions and the Lambda API on loopback, every invocation a process.

Nothing is imported here: every function's process imports this package on its way to
`cosmic_local.child_process`, and a cold start must not pay for an emulator.
"""

__version__ = "0.1.0"
