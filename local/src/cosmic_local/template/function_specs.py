"""From the template's resources to functions that can be run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cosmic_local.errors import TemplateError
from cosmic_local.lambda_pool.function import AsyncConfig, FunctionSpec
from cosmic_local.template.image import lay_out, parse
from cosmic_local.template.template import LOCAL, Template


def function_specs(template: Template, layouts: Path) -> list[FunctionSpec]:
    """All functions of a template.

    Args:
        template: The template.
        layouts: Directory for the file systems of image functions.

    Raises:
        TemplateError: one cannot be run here.
    """
    layers = _layers(template)
    events = _async_configs(template)
    return [
        _spec(template, logical_id, layers, events, layouts / logical_id)
        for logical_id, resource in template.resolver.resources.items()
        if resource["Type"] == "AWS::Lambda::Function"
    ]


def _spec(
    template: Template,
    logical_id: str,
    layers: dict[str, tuple[Path, ...]],
    events: dict[str, dict[str, Any]],
    layout: Path,
) -> FunctionSpec:
    properties = template.resolver.properties(logical_id)
    name = template.resolver.physical_name(logical_id)
    if properties.get("PackageType") == "Image":
        handler, code, extra = _image(template, logical_id, properties, layout)
    else:
        handler, code, extra = properties["Handler"], _code(template, logical_id, layout), ()
    reserved = properties.get("ReservedConcurrentExecutions")
    variables = properties.get("Environment", {}).get("Variables", {})
    return FunctionSpec(
        name=name,
        logical_id=logical_id,
        arn=template.resolver.arn(logical_id),
        handler=handler,
        code=code,
        runtime=properties.get("Runtime", "python3.13"),
        timeout_s=float(properties.get("Timeout", 3)),
        memory_mb=int(properties.get("MemorySize", 128)),
        ephemeral_mb=int(properties.get("EphemeralStorage", {}).get("Size", 512)),
        reserved_concurrency=None if reserved is None else int(reserved),
        environment={key: str(value) for key, value in variables.items()},
        layers=(*extra, *_paths_of(logical_id, properties.get("Layers", []), layers)),
        role=properties["Role"],
        events=_async_config(events.get(name, {}), properties),
    )


def _image(
    template: Template, logical_id: str, properties: dict[str, Any], layout: Path
) -> tuple[str, Path, tuple[Path, ...]]:
    metadata = template.metadata(logical_id)
    if "DockerContext" not in metadata:
        raise TemplateError(
            f"{logical_id}: an image function runs from its source",
            hint="give its Metadata a DockerContext and a Dockerfile",
        )
    context = (template.folder / metadata["DockerContext"]).resolve()
    dockerfile = parse(context / metadata.get("Dockerfile", "Dockerfile"))
    command = properties.get("ImageConfig", {}).get("Command") or dockerfile.command
    if not command:
        raise TemplateError(f"{logical_id}: neither ImageConfig.Command nor a CMD names a handler")
    task_root = lay_out(dockerfile, context, layout)
    extensions = layout / "opt" / "python"
    return command[0], task_root, (extensions,) if extensions.is_dir() else ()


def _code(template: Template, logical_id: str, layout: Path) -> Path:
    code = template.resolver.properties(logical_id)["Code"]
    if "ZipFile" in code:
        layout.mkdir(parents=True, exist_ok=True)
        (layout / "index.py").write_text(code["ZipFile"], encoding="utf-8")
        return layout
    return _directory(template, logical_id, code)


def _directory(template: Template, logical_id: str, code: dict[str, Any]) -> Path:
    if code.get("S3Bucket") != LOCAL:
        raise TemplateError(f"{logical_id}: its code is not a local path: {code}")
    path = template.local_path(code["S3Key"])
    if not path.is_dir():
        raise TemplateError(f"{logical_id}: {path} is not a directory")
    return path


def _layers(template: Template) -> dict[str, tuple[Path, ...]]:
    """ARN of each layer → what it adds to the import path.

    A layer's source has its packages in `src`, a built one in `python`. One with neither (only
    requirements) adds nothing: they are expected in the environment that the stack runs in.
    """
    found = {}
    for logical_id, resource in template.resolver.resources.items():
        if resource["Type"] == "AWS::Lambda::LayerVersion":
            content = template.resolver.properties(logical_id)["Content"]
            folder = _directory(template, logical_id, content)
            paths = tuple(folder / name for name in ("python", "src") if (folder / name).is_dir())
            found[template.resolver.arn(logical_id)] = paths
    return found


def _paths_of(
    logical_id: str, arns: list[str], layers: dict[str, tuple[Path, ...]]
) -> tuple[Path, ...]:
    paths: list[Path] = []
    for arn in arns:
        if arn not in layers:
            raise TemplateError(f"{logical_id}: the layer {arn} is not part of the template")
        paths += layers[arn]
    return tuple(paths)


def _async_configs(template: Template) -> dict[str, dict[str, Any]]:
    configs = {}
    for logical_id, resource in template.resolver.resources.items():
        if resource["Type"] == "AWS::Lambda::EventInvokeConfig":
            properties = template.resolver.properties(logical_id)
            configs[properties["FunctionName"]] = properties
    return configs


def _async_config(config: dict[str, Any], properties: dict[str, Any]) -> AsyncConfig:
    destinations = config.get("DestinationConfig", {})
    return AsyncConfig(
        max_retries=int(config.get("MaximumRetryAttempts", 2)),
        on_failure=destinations.get("OnFailure", {}).get("Destination"),
        dead_letter=properties.get("DeadLetterConfig", {}).get("TargetArn"),
    )
