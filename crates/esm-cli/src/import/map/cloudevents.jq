# CloudEvents that are not one a line: a JSON array, or events on several lines.
#
#   esm import --map cloudevents events.json
#
# Events that are one a line need no map, and keep the notation of their data without one.
.
