# Axon Framework: the table domain_event_entry.
#
#   \copy (select global_index, event_identifier, aggregate_identifier, sequence_number, type, payload_type, payload_revision, time_stamp, convert_from(payload, 'UTF8') as payload, convert_from(meta_data, 'UTF8') as meta_data from domain_event_entry order by global_index) to 'events.csv' csv header
#   esm import --map axon events.csv
#
# In MySQL, `convert(payload using utf8mb4)` takes the place of convert_from. The object is
# type/aggregate_identifier; give a name with --name where there is no type. The type of an event is
# the class of its payload. JSON (Jackson) becomes JSON; XML (XStream) stays text. A whole number as
# `payload_revision` is the schema's version, any other is kept as the metadata `payloadrevision`.
# `global_index` is kept as the metadata `globalposition`.
def need($field):
  if .[$field] == null
  then error("no value for \($field); there are the fields \(keys_unsorted | join(", "))")
  else .[$field] end;
def readable($field):
  if type == "string" and startswith("\\x")
  then error("\($field) is binary: export convert_from(\($field), 'UTF8') as \($field)")
  else . end;

(need("payload") | readable("payload")) as $payload
| (.payload_revision | tostring | test("^[0-9]{1,9}$")) as $numbered
| {
    source: .type,
    subject: need("aggregate_identifier"),
    id: need("event_identifier"),
    type: need("payload_type"),
    sequence: need("sequence_number"),
    time: .time_stamp,
    globalposition: (.global_index | if . == null then null else tonumber end)
  }
+ (if $numbered then { schemaversion: (.payload_revision | tonumber) }
   else { payloadrevision: .payload_revision } end)
+ (if ($payload | type) != "string" then { data: $payload }
   elif $payload | startswith("<") then { datacontenttype: "application/xml", data: $payload }
   else { data: ($payload | fromjson) } end)
+ (.meta_data | readable("meta_data")
   | if type != "string" then { metadata: . }
     elif startswith("<") then { metadataxml: . }
     else { metadata: fromjson } end)
