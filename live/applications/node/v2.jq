# neither Emmett nor Message DB writes a schema version: what changes gets another name
if .type == "Opened" then .type = "AccountOpened" | .data.email = "erased"
elif .type == "Deposited" or .type == "Withdrawn" then
  .type = "Money" + .type | .data |= (.cents = (.euros * 100 | round) | del(.euros))
else . end
