"""The product's template, transformed: what it grants, keeps, limits and says."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from cosmic.contracts.plan import FunctionLimits
from cosmic.costs.budget import LONGEST_AGGREGATE_S, LONGEST_INIT_S, LONGEST_RANK_S
from cosmic.costs.platform import LAMBDA
from cosmic.ranks.run_rank import RESERVE_S
from cosmic_local.template.template import Template, read

from .conftest import EVERYTHING, ROOT, Deployed, as_list, of_type

BUCKET = "arn:aws:s3:::demo-data-123456789012"
FUNCTIONS = ("InitFunction", "InferFunction", "AggregateFunction")

# Statements on every resource, by role and Sid: what AWS forces, and why.
WILDCARDS = {
    ("InitRole", "SeeConcurrencyOfAccount"): "lambda:GetAccountSettings names no resource",
    ("InferRole", "HoldNetworkInterfaces"): "interfaces have no names before they are made",
    ("PipelineRole", "DeliverLogs"): "log deliveries can't be named (Step Functions' guide)",
    ("InitRole", "Trace"): "X-Ray has no resources to name",
    ("InferRole", "Trace"): "X-Ray has no resources to name",
    ("AggregateRole", "Trace"): "X-Ray has no resources to name",
    ("PipelineRole", "Trace"): "X-Ray has no resources to name",
}
# Statements on all objects of a bucket.
WHOLE_BUCKETS = {
    ("InitRole", "ReadSource"): "the user names that bucket to have it read",
    ("InferRole", "ReadSource"): "the user names that bucket to have it read",
    ("AggregateRole", "ReadSource"): "the user names that bucket to have it read",
}


@pytest.fixture(params=[{}, EVERYTHING], ids=["default", "everything"])
def template(request: pytest.FixtureRequest, deployed: Deployed) -> Template:
    """The template with its defaults, and with all that is optional."""
    return deployed(**request.param)


def statements(template: Template) -> list[tuple[str, dict[str, Any]]]:
    """Role and statement of everything that is granted."""
    return [
        (role, statement)
        for role, properties in of_type(template, "AWS::IAM::Role")
        for policy in properties["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
    ]


def test_each_function_and_the_state_machine_has_a_role_of_its_own(template: Template) -> None:
    roles = [p["Role"] for _, p in of_type(template, "AWS::Lambda::Function")]
    roles += [p["RoleArn"] for _, p in of_type(template, "AWS::StepFunctions::StateMachine")]
    assert len(set(roles)) == len(roles) == 4
    arns = {template.resolver.arn(name) for name, _ in of_type(template, "AWS::IAM::Role")}
    assert arns == set(roles)


def test_roles_have_inline_policies_only(template: Template) -> None:
    for _, properties in of_type(template, "AWS::IAM::Role"):
        assert "ManagedPolicyArns" not in properties


def test_no_action_is_a_wildcard(template: Template) -> None:
    for role, statement in statements(template):
        assert not [a for a in as_list(statement["Action"]) if "*" in a], (role, statement["Sid"])


def test_wildcard_resources_are_the_listed_ones(deployed: Deployed) -> None:
    found = {
        (role, s["Sid"])
        for role, s in statements(deployed(**EVERYTHING))
        if "*" in as_list(s["Resource"])
    }
    assert found == set(WILDCARDS)


def test_objects_are_granted_by_prefix(template: Template) -> None:
    for role, statement in statements(template):
        for resource in as_list(statement["Resource"]):
            if resource.startswith("arn:aws:s3:::") and "/" in resource:
                whole = resource.endswith("/*") and resource.count("/") == 1
                assert not whole or (role, statement["Sid"]) in WHOLE_BUCKETS, resource


def test_nobody_may_write_manifests_models_or_data(template: Template) -> None:
    writing = {"s3:PutObject", "s3:DeleteObject"}
    for _, statement in statements(template):
        if writing & set(as_list(statement["Action"])):
            for resource in as_list(statement["Resource"]):
                prefix = resource.removeprefix(BUCKET + "/").split("/")[0]
                assert prefix in {"runs", "results", "fmi", "admission", "catalogues"}


def test_only_the_exchange_of_messages_may_delete(template: Template) -> None:
    deleting = [
        (role, s["Resource"])
        for role, s in statements(template)
        if any("Delete" in a and a.startswith("s3:") for a in as_list(s["Action"]))
    ]
    assert deleting == [("InferRole", f"{BUCKET}/fmi/*")]


def test_the_bucket_is_closed(template: Template) -> None:
    ((_, bucket),) = of_type(template, "AWS::S3::Bucket")
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    ((_, policy),) = of_type(template, "AWS::S3::BucketPolicy")
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_nothing_is_kept_for_ever_but_results(template: Template) -> None:
    ((_, bucket),) = of_type(template, "AWS::S3::Bucket")
    rules = {r["Id"]: r for r in bucket["LifecycleConfiguration"]["Rules"]}
    assert rules["ExpireFmiMessages"]["Prefix"] == "fmi/"
    assert rules["ExpireFmiMessages"]["ExpirationInDays"] == 1
    assert rules["ExpireScratchOfFinishedRuns"]["TagFilters"] == [
        {"Key": "cosmic", "Value": "scratch"}
    ]
    expiring = [r for r in rules.values() if "ExpirationInDays" in r]
    assert all("TagFilters" in r or "Prefix" in r for r in expiring)


def test_only_manifests_start_runs(template: Template) -> None:
    ((_, bucket),) = of_type(template, "AWS::S3::Bucket")
    (notice,) = bucket["NotificationConfiguration"]["LambdaConfigurations"]
    assert notice["Event"] == "s3:ObjectCreated:*"
    rules = {r["Name"]: r["Value"] for r in notice["Filter"]["S3Key"]["Rules"]}
    assert rules == {"prefix": "manifests/", "suffix": ".json"}


def test_every_function_logs_to_a_group_of_its_own_that_forgets(template: Template) -> None:
    groups = {p["LogGroupName"]: p for _, p in of_type(template, "AWS::Logs::LogGroup")}
    assert all(p["RetentionInDays"] for p in groups.values())
    used = [p["LoggingConfig"]["LogGroup"] for _, p in of_type(template, "AWS::Lambda::Function")]
    assert len(set(used)) == len(used) == len(FUNCTIONS)
    assert set(used) < set(groups)


def test_waits_are_ordered(template: Template) -> None:
    machine = json.loads((ROOT / "infra/statemachine/pipeline.asl.json").read_text())
    functions = dict(of_type(template, "AWS::Lambda::Function"))
    states = {**machine["States"], **machine["States"]["Infer"]["ItemProcessor"]["States"]}
    pairs = {
        "Admit": "InitFunction",
        "Rank": "InferFunction",
        "Aggregate": "AggregateFunction",
    }
    for state, function in pairs.items():
        task_s = states[state]["TimeoutSeconds"]
        assert functions[function]["Timeout"] < task_s < machine["TimeoutSeconds"]


def test_the_planner_knows_the_time_memory_and_scratch_of_init_and_aggregate(
    template: Template,
) -> None:
    functions = dict(of_type(template, "AWS::Lambda::Function"))
    init, aggregate = functions["InitFunction"], functions["AggregateFunction"]
    assert FunctionLimits() == FunctionLimits(
        init_s=init["Timeout"],
        init_memory_mb=init["MemorySize"],
        aggregate_s=aggregate["Timeout"],
        aggregate_memory_mb=aggregate["MemorySize"],
        aggregate_scratch_mb=aggregate["EphemeralStorage"]["Size"],
    )


def test_predictions_and_bounds_know_how_long_a_function_may_take(template: Template) -> None:
    functions = dict(of_type(template, "AWS::Lambda::Function"))
    rank_s, merge_s = (functions[f"{name}Function"]["Timeout"] for name in ("Infer", "Aggregate"))
    assert rank_s == LONGEST_RANK_S - LONGEST_INIT_S == LAMBDA.longest_s + RESERVE_S
    assert merge_s == LONGEST_AGGREGATE_S - LONGEST_INIT_S
    memory = read(ROOT / "template.yaml")["Parameters"]["InferMemorySize"]
    assert memory["MaxValue"] == LAMBDA.largest_mb


def test_failed_events_go_to_the_queue(template: Template) -> None:
    queue = template.resolver.arn("FailedEvents")
    configs = [p for _, p in of_type(template, "AWS::Lambda::EventInvokeConfig")]
    assert len(configs) == 2
    for config in configs:
        assert config["DestinationConfig"]["OnFailure"]["Destination"] == queue
    rules = list(of_type(template, "AWS::Events::Rule"))
    assert len(rules) == 2
    for _, rule in rules:
        assert rule["Targets"][0]["DeadLetterConfig"]["Arn"] == queue


def test_every_end_that_the_state_machine_can_not_catch_reaches_aggregate(
    template: Template,
) -> None:
    statuses = statuses_that_reach(template, "AggregateFunction")
    assert statuses == {"ABORTED", "FAILED", "TIMED_OUT"}


def test_every_end_of_a_run_reaches_init_which_wakes_the_next(template: Template) -> None:
    statuses = statuses_that_reach(template, "InitFunction")
    assert statuses == {"ABORTED", "FAILED", "SUCCEEDED", "TIMED_OUT"}
    ((resource, actions),) = [
        (s["Resource"], s["Action"])
        for role, s in statements(template)
        if "states:SendTaskSuccess" in as_list(s["Action"]) and role == "InitRole"
    ]
    assert actions == "states:SendTaskSuccess"
    assert resource.endswith(":stateMachine:demo-pipeline")


def statuses_that_reach(template: Template, function: str) -> set[str]:
    """The ends of executions that EventBridge tells a function."""
    arn = template.resolver.arn(function)
    (rule,) = [
        r for _, r in of_type(template, "AWS::Events::Rule") if r["Targets"][0]["Arn"] == arn
    ]
    return set(rule["EventPattern"]["detail"]["status"])


def test_the_channels_follow_from_what_is_set_up(deployed: Deployed) -> None:
    def channels(**parameters: str) -> str:
        properties = deployed(**parameters).resolver.properties("InitFunction")
        return str(properties["Environment"]["Variables"]["COSMIC_FMI_CHANNELS"])

    redis = "redis://cache.example:6379"
    assert channels() == "s3"
    assert channels(RendezvousHost="true") == "direct,s3"
    assert channels(RendezvousAddress="10.0.0.5:7600", RedisUrl=redis) == "direct,redis,s3"
    assert channels(RedisUrl=redis, FmiChannel="redis") == "redis"
    assert channels(FmiChannel="none") == ""


def test_options_reach_the_ranks(deployed: Deployed) -> None:
    plain = deployed().resolver.properties("InferFunction")
    assert not {"VpcConfig", "ReservedConcurrentExecutions"} & set(plain)
    chosen = deployed(**EVERYTHING).resolver.properties("InferFunction")
    assert chosen["VpcConfig"]["SubnetIds"] == ["subnet-1", "subnet-2"]
    assert int(chosen["ReservedConcurrentExecutions"]) == 50
    assert chosen["Environment"]["Variables"]["FMI_RENDEZVOUS"] == "192.0.2.1:7600"
    assert chosen["TracingConfig"] == {"Mode": "Active"}
    runtimes = [
        p["Runtime"]
        for _, p in of_type(deployed(**EVERYTHING), "AWS::Lambda::Function")
        if "Runtime" in p
    ]
    assert runtimes == ["python3.12"] * 2


def test_no_secret_is_in_the_environment(template: Template) -> None:
    for _, properties in of_type(template, "AWS::Lambda::Function"):
        names = set(properties["Environment"]["Variables"])
        assert not {n for n in names if "SECRET" in n and not n.endswith("_ARN")}


TEMPLATES = (
    "template.yaml",
    "infra/monitoring/template.yaml",
    "infra/rendezvous-host/template.yaml",
    "infra/query/template.yaml",
)


@pytest.mark.parametrize("path", TEMPLATES)
def test_every_parameter_is_used_and_bounded(path: str) -> None:
    text = (ROOT / path).read_text()
    source = read(ROOT / path)
    body = json.dumps({k: v for k, v in source.items() if k not in ("Parameters", "Metadata")})
    for name, spec in source["Parameters"].items():
        assert f'"{name}"' in body or "${" + name + "}" in text, name
        if path == "template.yaml":
            assert spec["Description"]
            bounded = {"AllowedValues", "AllowedPattern", "MinValue"} & set(spec)
            assert bounded or spec["Type"] == "CommaDelimitedList", name


def test_parameters_are_grouped_for_the_console() -> None:
    source = read(ROOT / "template.yaml")
    groups = source["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [name for group in groups for name in group["Parameters"]]
    assert sorted(grouped) == sorted(source["Parameters"])


def test_outputs_say_what_to_do_next(template: Template) -> None:
    outputs = template.resolver.outputs()
    bucket = outputs["DataBucketName"]
    assert outputs["NextUploadModel"].endswith(f"s3://{bucket}/models/")
    assert outputs["NextRun"].startswith("cosmic submit ")
    assert (ROOT / outputs["NextUploadModel"].split()[3]).is_file()


# Alarms


def alarms() -> dict[str, dict[str, Any]]:
    resources = read(ROOT / "infra/monitoring/template.yaml")["Resources"]
    return {
        name: r["Properties"]
        for name, r in resources.items()
        if r["Type"] == "AWS::CloudWatch::Alarm"
    }


def test_errors_throttles_and_long_durations_are_alarmed(deployed: Deployed) -> None:
    functions = dict(of_type(deployed(), "AWS::Lambda::Function"))
    ours = [a for a in alarms().values() if str(a["Namespace"]).startswith("AWS/")]
    found = {(a["MetricName"], a["Dimensions"][0]["Value"]["Ref"]): a for a in ours}
    for name in FUNCTIONS:
        assert {("Errors", name), ("Throttles", name), ("Duration", name)} <= set(found)
        limit_ms = found["Duration", name]["Threshold"]
        assert limit_ms == 900 * functions[name]["Timeout"]
    for metric in ("ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted"):
        assert (metric, "Pipeline") in found
    assert ("ApproximateNumberOfMessagesVisible", "FailedEvents") in found


def test_waiting_for_concurrency_rings_only_if_it_does_not_end() -> None:
    """The state machine makes throttled calls again: most end by themselves within minutes."""
    for alarm in alarms().values():
        if alarm["MetricName"] == "Throttles":
            assert alarm["Period"] * alarm["EvaluationPeriods"] >= 1800
            assert alarm.get("DatapointsToAlarm", alarm["EvaluationPeriods"]) >= 6


def test_metrics_of_ours_are_those_that_the_functions_send() -> None:
    sent = set()
    for name in ("init", "infer", "aggregate"):
        text = (ROOT / f"functions/{name}/app.py").read_text()
        sent |= set(re.findall(r'add_metric\("(\w+)"', text))
    text = (ROOT / "infra/monitoring/template.yaml").read_text()
    shown = set(re.findall(r'\["Cosmic/\$\{Stack\}", "(\w+)"', text))
    alarmed = {a["MetricName"] for a in alarms().values() if "Cosmic" in str(a["Namespace"])}
    host = (ROOT / "infra/rendezvous-host/template.yaml").read_text()
    sent |= set(re.findall(r"--metric-name (\w+)", host))
    assert shown | alarmed <= sent


def test_the_dashboard_is_json() -> None:
    resources = read(ROOT / "infra/monitoring/template.yaml")["Resources"]
    body = resources["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    assert len(json.loads(body)["widgets"]) >= 6


@pytest.mark.parametrize("nested", ["Monitoring", "Rendezvous", "Query"])
def test_nested_stacks_get_the_parameters_that_they_ask_for(nested: str) -> None:
    properties = read(ROOT / "template.yaml")["Resources"][nested]["Properties"]
    asked = read(ROOT / properties["Location"])["Parameters"]
    needed = {name for name, spec in asked.items() if "Default" not in spec}
    assert needed <= set(properties["Parameters"]) <= set(asked)


def test_what_is_kept_with_a_fixed_name_is_not_kept_of_a_deployment_that_failed() -> None:
    for name in TEMPLATES:
        for resource in read(ROOT / name)["Resources"].values():
            assert resource.get("DeletionPolicy") in (None, "RetainExceptOnCreate")
    assert (
        read(ROOT / "template.yaml")["Resources"]["DataBucket"]["UpdateReplacePolicy"] == "Retain"
    )


def test_the_state_machine_may_trace_as_step_functions_asks(deployed: Deployed) -> None:
    traces = [
        statement["Action"]
        for role, statement in statements(deployed(**EVERYTHING))
        if (role, statement.get("Sid")) == ("PipelineRole", "Trace")
    ]
    sampling = {"xray:GetSamplingRules", "xray:GetSamplingTargets"}
    assert sampling < set(as_list(traces[0]))


def test_the_state_machine_may_run_its_map_and_no_other_machine(template: Template) -> None:
    """Step Functions runs a distributed map's parts as executions of the same state machine."""
    granted = {
        action: statement["Resource"]
        for role, statement in statements(template)
        if role == "PipelineRole"
        for action in as_list(statement["Action"])
        if action.startswith("states:")
    }
    at = "arn:aws:states:eu-west-1:123456789012"
    executions = f"{at}:execution:demo-pipeline*"
    assert granted == {
        "states:StartExecution": f"{at}:stateMachine:demo-pipeline",
        "states:DescribeExecution": executions,
        "states:StopExecution": executions,
    }


def test_a_key_of_the_source_decrypts_for_those_who_read_it_through_s3(deployed: Deployed) -> None:
    def decrypting(**parameters: str) -> dict[str, dict[str, Any]]:
        granted = statements(deployed(**parameters))
        return {role: s for role, s in granted if "kms:Decrypt" in as_list(s["Action"])}

    assert decrypting(SourceBucket="survey") == {}
    found = decrypting(**EVERYTHING)
    assert set(found) == {"InitRole", "InferRole", "AggregateRole"}
    for statement in found.values():
        assert as_list(statement["Action"]) == ["kms:Decrypt"]
        assert statement["Resource"] == EVERYTHING["SourceKmsKeyArn"]
        through = {"StringEquals": {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}}
        assert statement["Condition"] == through


def test_whoever_uploads_in_parts_may_give_an_upload_up(template: Template) -> None:
    """What s3transfer does when a part fails, so that no parts are left to be billed."""
    aborting = {
        (role, s["Sid"])
        for role, s in statements(template)
        if "s3:AbortMultipartUpload" in as_list(s["Action"])
    }
    writing = {("InferRole", "WriteShards"), ("AggregateRole", "WriteResults")}
    ending = {("AggregateRole", "EndUnfinishedUploads"), ("AggregateRole", "WriteTable")}
    assert aborting - ending == writing
