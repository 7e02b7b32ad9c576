# the payload is an enum of serde, {TYPE: …}: its tag changes with the type
if .type == "Opened" then
  .type = "AccountOpened" | .schemaversion = 2
  | .data = {AccountOpened: (.data.Opened | .email = "erased")}
elif (.type == "Deposited" or .type == "Withdrawn") and .schemaversion == 1 then
  .type as $type | .schemaversion = 2
  | .data[$type] |= (.cents = (.euros * 100 | round) | del(.euros))
else . end
