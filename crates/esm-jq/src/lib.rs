//! Transformations of event streams as jq programs.
