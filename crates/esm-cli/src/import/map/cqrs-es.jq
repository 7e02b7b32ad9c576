# The Rust crate cqrs-es: the table `events` of postgres-es or mysql-es.
#
#   \copy (select * from events order by aggregate_type, aggregate_id, sequence) to 'events.csv' csv header
#   esm import --map cqrs-es --renumber events.csv
#
# The object is aggregate_type/aggregate_id. `sequence` begins at 1, hence --renumber. Events have no
# id of their own: it is made of the aggregate and the sequence. The first number of `event_version`
# is the schema's version; the whole is kept as the metadata `eventversion`.
def need($field):
  if .[$field] == null
  then error("no value for \($field); there are the fields \(keys_unsorted | join(", "))")
  else .[$field] end;

# In CSV every value is text.
(need("sequence") | type == "string") as $csv
| def json($field):
    if $csv and type == "string" then try fromjson catch error("\($field): \(.)") else . end;
  {
    source: need("aggregate_type"),
    subject: need("aggregate_id"),
    id: "\(.aggregate_id)/\(.sequence)",
    type: need("event_type"),
    sequence: .sequence,
    schemaversion: (.event_version | if . == null then 1
      else (split(".")[0] | (tonumber? // 1)) end),
    eventversion: .event_version,
    data: (need("payload") | json("payload")),
    metadata: (.metadata | json("metadata"))
  }
