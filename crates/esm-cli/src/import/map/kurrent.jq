# KurrentDB and EventStoreDB: events as JSON, as client libraries and the HTTP API return them.
#
#   esm import --map kurrent events.json
#
# Reads an array, events one a line, and pages of the HTTP API (`entries`). The stream `order-123`
# becomes the object order/123; a stream without `-` has its name as key too. Streams that were
# truncated do not begin at 0 and need --renumber. Events and streams of the system, whose names
# begin with `$`, are left out, and so are links. The commit position is kept as the metadata
# `globalposition`.
def either($fields): . as $event | [$fields[] | $event[.] | values] | .[0];
def need($what; $fields):
  either($fields) // error("no \($what): none of \($fields | join(", ")) has a value; "
    + "there are the fields \(keys_unsorted | join(", "))");
def place:
  split("-") as $parts
  | { source: $parts[0],
      subject: ($parts[1:] | if . == [] then $parts[0] else join("-") end) };
# The HTTP API gives JSON as text.
def json: if type == "string" and test("^\\s*[{\\[]") then fromjson else . end;

if (.entries | type) == "array" then .entries | reverse | .[] else . end
| (if type == "object" and (.event | type) == "object"
   then .event + { position: (.event.position // .commitPosition) } else . end)
| need("stream"; ["eventStreamId", "streamId", "stream"]) as $stream
| need("type"; ["eventType", "type"]) as $type
| (either(["eventNumber", "revision", "positionEventNumber"])
  // error("no eventNumber; there are the fields \(keys_unsorted | join(", "))")) as $number
| if ($stream | startswith("$")) or ($type | startswith("$")) then empty else
  ($stream | place)
+ {
    # Without an id, the name of a link to the event: it is unique and always the same.
    id: (either(["eventId", "id"]) // "\($number)@\($stream)"),
    type: $type,
    sequence: $number,
    time: either(["created", "updated"]),
    metadata: (either(["metadata", "metaData"]) | json
      | if . == "" then null else . end),
    globalposition: (.position | if type == "object" then .commit else . end)
  }
+ (if .isJson == false
   then { datacontenttype: "application/octet-stream", data_base64: .data }
   else { data: (.data | json) } end)
end
