"""Packages that not everybody needs, and the extra of `cosmic` that installs each."""

from __future__ import annotations

from cosmic.errors import InputError

# By the name under which a package is imported.
EXTRAS = {
    "astropy": "pack",
    "PIL": "report",
    "cosmic_local": "local",
    "cryptography": "inference",
    "fmilib": "inference",
    "h5py": "pack",
    "jinja2": "report",
    "onnx": "onnxruntime",
    "onnxruntime": "onnxruntime",
    "openvino": "inference",
    "pandas": "pandas",
    "safetensors": "pack",
    "sklearn": "train",
    "torch": "train",
}


def not_installed(error: ModuleNotFoundError) -> InputError:
    """The error that says which extra installs a package that was not found.

    Args:
        error: What importing it raised.

    Raises:
        ModuleNotFoundError: `error` itself, if the package is no optional one: then it is a fault
            of the code or of the installation, not a choice of the user's.
    """
    package = (error.name or "").partition(".")[0]
    if package not in EXTRAS:
        raise error
    return InputError(
        f"this needs the package {package}, which is not installed",
        code="not-installed",
        hint=f"pip install 'cosmic[{EXTRAS[package]}]'",
    )
