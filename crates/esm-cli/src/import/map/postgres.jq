# A table of events of your own, with usual names of columns, as CSV or as JSON (row_to_json).
#
#   \copy (select * from events order by id) to 'events.csv' csv header
#   psql -Atc 'select row_to_json(e) from events e order by id' > events.ndjson
#   esm import --map postgres events.csv
#
# For each field of the event the first of these columns that has a value is used. Save this map with
# `esm import --show-map postgres`, and change it where your columns have other names. Without a
# column for the name of the object, the part of the stream before the first `-` is the name, or give
# one with --name. Numbers that do not begin at 0 need --renumber; events without any number, in
# order, need --number. Columns that this map does not know become metadata.
def first_of($what; $fields):
  . as $row | [$fields[] | $row[.] | values] | if . == [] then
    error("no value for \($what): none of \($fields | join(", ")) has one; "
      + "there are the fields \($row | keys_unsorted | join(", "))")
  else .[0] end;
def maybe($fields): . as $row | [$fields[] | $row[.] | values] | .[0];
def place:
  split("-") as $parts
  | { source: $parts[0],
      subject: ($parts[1:] | if . == [] then $parts[0] else join("-") end) };

# A bigserial `id` is the order of all events.
def whole($value): $value | select(. != null and (tostring | test("^[0-9]+$")));
# Columns that this map knows. The others become metadata, so that nothing is left out.
def known: ["version", "sequence_number", "stream_position", "stream_version", "sequence",
  "revision", "position", "event_number", "stream_id", "stream_name", "aggregate_id", "stream",
  "entity_id", "aggregate_type", "stream_type", "entity_type", "category", "event_id", "message_id",
  "id", "event_type", "message_type", "type", "created_at", "occurred_at", "recorded_at",
  "timestamp", "created", "time", "data", "payload", "event_data", "message_data", "body",
  "metadata", "event_metadata", "message_metadata", "meta_data", "meta", "headers",
  "schema_version", "global_position", "global_index", "seq_id"];
def with_the_rest($metadata):
  with_entries(select(.value != null and (.key as $key | any(known[]; . == $key) | not)))
  | if . == {} then $metadata
    elif $metadata == null or ($metadata | type) == "object" then ($metadata // {}) + .
    else $metadata end;

maybe(["version", "sequence_number", "stream_position", "stream_version", "sequence", "revision",
  "position", "event_number"]) as $number
# In CSV every value is text.
| all(.[]; . == null or type == "string") as $csv
| def json($what):
    if $csv and type == "string" then try fromjson catch error("\($what): \(.)") else . end;
  (first_of("the stream"; ["stream_id", "stream_name", "aggregate_id", "stream", "entity_id"])
    | tostring) as $stream
| maybe(["aggregate_type", "stream_type", "entity_type", "category"]) as $name
| (if $name != null then { source: $name, subject: $stream }
   # A UUID has no name in front.
   elif ($stream | contains("-")) and ($stream | test("^[0-9a-fA-F]{8}-") | not) then $stream | place
   else { subject: $stream } end)
+ {
    id: first_of("the id"; ["event_id", "message_id", "id"]),
    type: first_of("the type"; ["event_type", "message_type", "type"]),
    sequence: $number,
    time: maybe(["created_at", "occurred_at", "recorded_at", "timestamp", "created", "time"]),
    data: (first_of("the data"; ["data", "payload", "event_data", "message_data", "body"])
      | json("the data")),
    metadata: with_the_rest(
      maybe(["metadata", "event_metadata", "message_metadata", "meta_data", "meta", "headers"])
      | json("the metadata")),
    schemaversion: (maybe(["schema_version"]) | if . == null then null else tonumber end),
    globalposition: (maybe(["global_position", "global_index", "seq_id"]) // whole(.id) // null
      | if . == null then null else tonumber end)
  }
