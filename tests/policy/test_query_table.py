"""The table over all runs: in the template as in what `aggregate` writes."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from cosmic.contracts.catalogue_columns import COLUMNS
from cosmic.results.table import SCHEMA
from cosmic_local.template.template import read

from .conftest import EVERYTHING, ROOT, Deployed, as_list, of_type

RESOURCES: dict[str, Any] = read(ROOT / "infra/query/template.yaml")["Resources"]
TABLE: dict[str, Any] = RESOURCES["Catalogue"]["Properties"]["TableInput"]
HIVE = {
    pa.string(): "string",
    pa.int64(): "bigint",
    pa.int32(): "int",
    pa.float32(): "float",
    pa.float64(): "double",
}


def comment(name: str) -> str:
    """Description, unit and UCD, as the catalogue's own files have them."""
    info = COLUMNS[name]
    unit = [f"unit {info.unit}"] if info.unit else []
    return "; ".join([info.description, *unit, f"UCD {info.ucd}"])


def test_the_tables_columns_are_those_that_are_written() -> None:
    """A column of the catalogue that the table lacks: put it into infra/query/template.yaml."""
    columns = TABLE["StorageDescriptor"]["Columns"]
    assert [(c["Name"], c["Type"]) for c in columns] == [(f.name, HIVE[f.type]) for f in SCHEMA]
    told = {c["Name"]: c["Comment"] for c in columns if c["Name"] != "run"}
    assert told == {name: comment(name) for name in COLUMNS}
    assert all(len(c["Comment"]) <= 255 for c in columns), "Glue's limit"


def test_days_are_projected_where_aggregate_writes_them(deployed: Deployed) -> None:
    template = deployed(**EVERYTHING)
    parameters = template.resolver.properties("Query")["Parameters"]
    variables = template.resolver.properties("AggregateFunction")["Environment"]["Variables"]
    assert parameters["TablePrefix"] == variables["COSMIC_TABLE_PREFIX"] == "catalogues/"
    place = TABLE["Parameters"]["storage.location.template"]["Fn::Sub"]
    assert place == "s3://${Bucket}/${TablePrefix}day=${!day}/"
    assert TABLE["PartitionKeys"][0]["Name"] == "day"
    assert TABLE["Parameters"]["projection.day.format"] == "yyyy-MM-dd"


def test_nobody_has_a_table_who_did_not_ask_for_one(deployed: Deployed) -> None:
    template = deployed()
    assert "Query" not in template.resolver.resources
    variables = template.resolver.properties("AggregateFunction")["Environment"]["Variables"]
    assert variables["COSMIC_TABLE_PREFIX"] == ""
    roles = dict(of_type(template, "AWS::IAM::Role"))
    (policy,) = roles["AggregateRole"]["Policies"]
    granted = policy["PolicyDocument"]["Statement"]
    assert not [s for s in granted if "catalogues" in str(as_list(s["Resource"]))]


def test_a_query_can_not_read_without_end() -> None:
    group = RESOURCES["WorkGroup"]["Properties"]["WorkGroupConfiguration"]
    assert group["EnforceWorkGroupConfiguration"]
    assert group["BytesScannedCutoffPerQuery"]
