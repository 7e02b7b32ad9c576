# Message DB (and Eventide): the table message_store.messages in PostgreSQL.
#
#   \copy (select * from message_store.messages order by global_position) to 'messages.csv' csv header
#   esm import --map message-db messages.csv
#
# The stream `account-123` becomes the object account/123; a stream without `-` has its name as key
# too. `position` is the number in the stream, from 0 on. `global_position` is kept as the metadata
# `globalposition`.
def need($field):
  if .[$field] == null
  then error("no value for \($field); there are the fields \(keys_unsorted | join(", "))")
  else .[$field] end;
def place:
  split("-") as $parts
  | { source: $parts[0],
      subject: ($parts[1:] | if . == [] then $parts[0] else join("-") end) };

# In CSV every value is text.
(need("position") | type == "string") as $csv
| def json($field):
    if $csv and type == "string" then try fromjson catch error("\($field): \(.)") else . end;
  (need("stream_name") | place)
+ {
    id: need("id"),
    type: need("type"),
    sequence: .position,
    # Message DB keeps UTC, without saying so.
    time: (if .time == null then null else .time + "Z" end),
    data: (.data | json("data")),
    metadata: (.metadata | json("metadata")),
    globalposition: (.global_position | if . == null then null else tonumber end)
  }
