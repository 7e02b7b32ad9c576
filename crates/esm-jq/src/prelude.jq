# Functions of the language that are defined in it.

def error(message): message | error;

# Selecting and changing
def select(condition): if condition then . else empty end;
def map(f): [.[] | f];
def map_values(f): .[] |= f;
def del(paths): delpaths([path(paths)]);
def with_entries(f): to_entries | map(f) | from_entries;
def recurse(f; condition): recurse(f | select(condition));
def walk(f):
  def inner:
    (if type == "object" then map_values(inner) elif type == "array" then map(inner) else . end) | f;
  inner;
def pick(paths): . as $all | reduce path(paths) as $path (null; setpath($path; $all | getpath($path)));
def paths: path(..) | select(length > 0);
def paths(condition): path(.. | select(condition)) | select(length > 0);
def leaf_paths: paths(scalars);
def abs: if . < 0 then - . else . end;
def toarray: if type == "array" then . else [.] end;

# Kinds of values
def arrays: select(type == "array");
def objects: select(type == "object");
def iterables: select(type == "array" or type == "object");
def booleans: select(type == "boolean");
def numbers: select(type == "number");
def normals: select(isnormal);
def finites: select(isfinite);
def strings: select(type == "string");
def nulls: select(. == null);
def values: select(. != null);
def scalars: select(type != "array" and type != "object");
def isfinite: type == "number" and (isinfinite | not);
def isvalid(f): try (f | true) catch false;

# Arrays
def add: add(.[]);
def first: .[0];
def last: .[-1];
def nth($n): .[$n];
def nth($n; source):
  if $n < 0 then error("nth doesn't support negative indices") else first(skip($n; source)) end;
def any: any(.[]; .);
def any(condition): any(.[]; condition);
def all: all(.[]; .);
def all(condition): all(.[]; condition);
def in(container): . as $key | container | has($key);
def inside(container): . as $part | container | contains($part);
def index($part): indices($part) | .[0];
def rindex($part): indices($part) | .[-1:][0];
def reverse:
  if type == "null" then [] elif type == "array" then [.[length - 1 - range(length)]]
  else [.[length - 1 - range(0; length)]] end;
def range($to): range(0; $to; 1);
def range($from; $to): range($from; $to; 1);
def flatten: __flatten(-1);
def flatten($depth):
  if $depth < 0 then error("flatten depth must not be negative") else __flatten($depth) end;
def __flatten($depth):
  [.[] | if type == "array" and $depth != 0 then __flatten($depth - 1)[] else . end];
def transpose: [range(0; map(length) | max // 0) as $i | [.[][$i]]];
def combinations:
  if length == 0 then [] else .[0][] as $first | (.[1:] | combinations) as $rest | [$first] + $rest end;
def combinations($n): [range($n) as $_ | .] | combinations;
def sort_by(f): __sort_by(map([f]));
def group_by(f): __group_by(map([f]));
def unique_by(f): __unique_by(map([f]));
def min_by(f): __min_by(map([f]));
def max_by(f): __max_by(map([f]));

# Tables
def INDEX(rows; f): reduce rows as $row ({}; .[$row | f | tostring] = $row);
def INDEX(f): INDEX(.[]; f);
def JOIN($index; f): [.[] | [., $index[f]]];
def JOIN($index; rows; f): rows | [., $index[f]];
def JOIN($index; rows; f; made): rows | [., $index[f]] | made;
def IN(values): any(values == .; .);
def IN(source; values): any(source == values; .);

# Texts
def trimstr($part): ltrimstr($part) | rtrimstr($part);
def ascii: [.] | implode;
def match($pattern): __matches($pattern)[];
def match(pattern; flags): __matches(pattern; flags)[];
def __captured: reduce (.captures[] | select(.name != null)) as $capture ({}; .[$capture.name] = $capture.string);
def capture($pattern): match($pattern) | __captured;
def capture(pattern; flags): match(pattern; flags) | __captured;
def scan($pattern): scan($pattern; null);
def scan($pattern; $flags):
  match($pattern; "g" + $flags) | if .captures == [] then .string else [.captures[].string] end;
def splits($pattern): splits($pattern; null);
def splits($pattern; $flags): split($pattern; $flags)[];
def split($pattern; $flags): __split($pattern; $flags + "g");
def sub(pattern; f): sub(pattern; f; "");
def gsub(pattern; f): sub(pattern; f; "g");
def gsub(pattern; f; $flags): sub(pattern; f; $flags + "g");

# Time
def fromdateiso8601: strptime("%Y-%m-%dT%H:%M:%SZ") | mktime;
def todateiso8601: strftime("%Y-%m-%dT%H:%M:%SZ");
def fromdate: fromdateiso8601;
def todate: todateiso8601;
def date: todate;
def dateadd(unit; $n): . + $n;
def datesub(unit; $n): . - $n;

# Streams of paths and values
def tostream:
  path(def inner: (.[]? | inner), .; inner) as $path
  | getpath($path)
  | reduce path(.[]?) as $key ([$path, .]; [$path + $key]);
def fromstream(events):
  {value: null, ended: false} as $begin
  | foreach events as $event ($begin;
      (if .ended then $begin else . end)
      | if ($event | length) == 2 then
          .ended = ($event[0] | length == 0) | setpath(["value"] + $event[0]; $event[1])
        else .ended = ($event[0] | length == 1) end;
      if .ended then .value else empty end);
def truncate_stream(events):
  . as $depth
  | null | events
  | . as $event
  | if (.[0] | length) > $depth then setpath([0]; $event[0][$depth:]) else empty end;
