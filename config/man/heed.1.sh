#!/bin/sh
# heed(1) on standard output: heed.1.in, with what `heed COMMAND --help` says in the place of @COMMANDS@.
# Usage: heed.1.sh HEED PREFIX
set -eu
heed=$1 prefix=$2
here=$(dirname "$0")

# In mdoc a backslash begins an escape, a line that begins with a dot or quote is a request, and only \- is a minus.
escape() {
	sed -e 's/\\/\\e/g' -e 's/-/\\-/g' -e "s/^[.']/\\\\\&&/" -e 's/…/.../g'
}

# The help is: usage, an empty line, a summary; then, for most, an empty line and text as it stands.
command_page() {
	"$heed" "$1" --help | escape | awk -v name="$1" '
		NR == 1 { sub(/^usage: /, ""); print ".Ss " name "\n" $0 }
		NR == 3 { print ".Pp\n" $0 }
		NR == 4 { print ".Bd -literal" }
		NR > 4 { print }
		END { if (NR > 3) print ".Ed" }'
}

sed '/^@COMMANDS@$/,$d' "$here/heed.1.in"
"$heed" help | sed -n 's/^  \([a-z]*\) .*/\1/p' | while read -r name; do
	command_page "$name"
done
sed -e '1,/^@COMMANDS@$/d' -e "s|@PREFIX@|$prefix|" "$here/heed.1.in"
