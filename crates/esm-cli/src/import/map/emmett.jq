# Emmett: the table emt_messages, in PostgreSQL or SQLite.
#
#   \copy (select * from emt_messages where not is_archived order by global_position) to 'messages.csv' csv header
#   esm import --map emmett --renumber messages.csv
#
# The stream `cart-123` or `cart:123` becomes the object cart/123. `stream_position` begins at 1,
# hence --renumber. Commands (message_kind C) are left out. `global_position` is kept as the metadata
# `globalposition`, and a partition that is not the default one as `partition`.
def need($field):
  if .[$field] == null
  then error("no value for \($field); there are the fields \(keys_unsorted | join(", "))")
  else .[$field] end;
# The first of `-` and `:` ends the name.
def place:
  (if split(":")[0] | contains("-") then "-" else ":" end) as $end
  | split($end) as $parts
  | { source: $parts[0],
      subject: ($parts[1:] | if . == [] then $parts[0] else join($end) end) };

if .message_kind == "C" then empty else
# In CSV every value is text.
(need("stream_position") | type == "string") as $csv
| def json($field):
    if $csv and type == "string" then try fromjson catch error("\($field): \(.)") else . end;
  (need("stream_id") | place)
+ {
    id: need("message_id"),
    type: need("message_type"),
    sequence: .stream_position,
    schemaversion: (.message_schema_version | if . == null then 1 else tonumber end),
    # SQLite keeps UTC, without saying so.
    time: (.created | if . == null or test("(Z|[+-][0-9]{2}(:?[0-9]{2})?)$") then . else . + "Z" end),
    data: (need("message_data") | json("message_data")),
    metadata: (.message_metadata | json("message_metadata")),
    globalposition: (.global_position | if . == null then null else tonumber end),
    partition: (.partition | if . == "emt:default" or . == "global" then null else . end)
  }
end
