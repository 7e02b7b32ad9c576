# Marten: the table mt_events in PostgreSQL.
#
#   \copy (select e.*, s.type as stream_type from mt_events e join mt_streams s on s.id = e.stream_id order by e.seq_id) to 'events.csv' csv header
#   esm import --map marten --renumber events.csv
#
# The stream's type names the object, its id is the key. Where streams have no type, give the objects
# a name with --name. `version` begins at 1, hence --renumber. `seq_id` is kept as the metadata
# `globalposition`; the headers, the .NET type, the ids of correlation and causation, and a tenant
# that is not the default one are kept as metadata too.
def need($field):
  if .[$field] == null
  then error("no value for \($field); there are the fields \(keys_unsorted | join(", "))")
  else .[$field] end;

# In CSV every value is text.
(need("version") | type == "string") as $csv
| def json($field):
    if $csv and type == "string" then try fromjson catch error("\($field): \(.)") else . end;
  {
    source: .stream_type,
    subject: need("stream_id"),
    id: need("id"),
    type: need("type"),
    sequence: .version,
    time: .timestamp,
    data: (need("data") | json("data")),
    metadata: (.headers | json("headers")),
    globalposition: (.seq_id | if . == null then null else tonumber end),
    dotnettype: .mt_dotnet_type,
    correlationid: .correlation_id,
    causationid: .causation_id,
    tenant: (.tenant_id | if . == "*DEFAULT*" then null else . end)
  }
