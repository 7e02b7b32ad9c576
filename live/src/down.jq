# Orders, back to the first edition: what new code has appended since the migration.

if .type == "OrderPlaced" then
  .schemaversion = 1
  | .data |= with_entries(if .key == "customer_name" then .key = "customer" else . end)

# Half a shipment is none that old code knows; the weight is kept as a note.
elif .type == "ParcelPacked" then
  .type = "NoteTaken" | .data = { by: "packing", text: "weighs \(.data.weight_grams) g" }

elif .type == "ParcelDispatched" then
  .type = "OrderShipped"

else
  .
end
