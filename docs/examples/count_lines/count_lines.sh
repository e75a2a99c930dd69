#!/bin/sh
# Counts the lines of a text: a step that keeps the contract and holds no line of Python.
#
# Reads: the input `data`, a file:// URL. Writes: `counts.txt` under the output, by a temporary name and a rename, and
# then, last and in one write, the result. Again: the same text gives the same bytes.
# A step for a cluster does the same with an SDK of its language for s3:// and abfss://.
set -eu

bad() { # exit code 2: trying again cannot help
    echo "count_lines: $*" >&2
    exit 2
}

value() { # value JSON NAME: the text at a name of a flat JSON object, or nothing
    printf '%s' "$1" | tr -d '\n' | sed -n 's/.*"'"$2"'" *: *"\{0,1\}\([^",}]*\)"\{0,1\} *[,}].*/\1/p'
}

path() { # path URL: the file that a file:// URL names
    case $1 in
    file:///*) printf '%s' "${1#file://}" ;;
    *) return 1 ;;
    esac
}

data=$(value "${TIDEGATE_INPUTS:-}" data)
from=$(path "$data") || bad "\$TIDEGATE_INPUTS.data is '$data'; want file://"
output=${TIDEGATE_OUTPUT:-}
to=$(path "$output") || bad "\$TIDEGATE_OUTPUT is '$output'; want file://"
blank=$(value "${TIDEGATE_PARAMS:-}" blank)
case ${blank:=true} in
true) wanted='' ;;
false) wanted='[^[:space:]]' ;;
*) bad "\$TIDEGATE_PARAMS.blank is '$blank'; want true or false" ;;
esac
[ -r "$from" ] || bad "there is no $data"

lines=$(grep -c -e "$wanted" "$from" || true)
mkdir -p "$to"
partial=$to/.counts.txt.$$
trap 'rm -f "$partial"; exit 143' TERM
printf '%s\n' "$lines" >"$partial"
mv "$partial" "$to/counts.txt"

size=$(wc -c <"$to/counts.txt" | tr -d ' ')
sha256=$(sha256sum "$to/counts.txt" | cut -d ' ' -f 1)
echo "$lines lines in $data"
printf '{"outputs": [{"name": "counts", "url": "%s", "size": %s, "sha256": "%s", "etag": ""}], "metrics": {"lines": %s}, "summary": "%s lines"}' \
    "${output%/}/counts.txt" "$size" "$sha256" "$lines" "$lines" >"${TIDEGATE_RESULT:-/dev/termination-log}"
