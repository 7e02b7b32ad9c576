# Orders, second edition. Applied to one event at a time, as a CloudEvent:
# nothing = the event is dropped, one = it is changed, several = it is split.

# Notes were never meant to be kept.
if .type == "NoteTaken" then
  empty

# `customer` is now called `customer_name`; that is a new version of the schema.
elif .type == "OrderPlaced" then
  .schemaversion = 2
  | .data |= with_entries(if .key == "customer" then .key = "customer_name" else . end)

# Packing and handing over to the carrier are two facts.
elif .type == "OrderShipped" then
  (.type = "ParcelPacked" | .data = { weight_grams: .data.weight_grams }),
  (.type = "ParcelDispatched" | .data = { carrier: .data.carrier, tracking: .data.tracking })

# Everything else stays as it is, to the byte.
else
  .
end
