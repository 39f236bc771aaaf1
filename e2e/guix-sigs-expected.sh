#!/bin/sh
# guix-sigs-expected.sh DIR [AT]
#
# Says what a repository of OpenPGP-signed Guix checksums comes to, by gpg, awk
# and sort alone and none of this project's code, to compare with what the project
# makes of it. DIR has the layout <version>/<builder>/<stage>.SHA256SUMS with .asc
# beside it, and builder-keys/*.gpg. AT (seconds since 1970, default: now) is when
# the documents are taken to be received. Needs gpg 2.2 or later.
#
# Rules:
#   1. The state of a document is that of its signature's key, with all keys of
#      builder-keys known:
#        valid             verifies, and the key is valid at AT;
#        expired-since     verifies, the key has expired by AT, but was valid at
#                          the time that the signature gives for itself;
#        outside-validity  verifies, but the key had expired at that time, or that
#                          time is more than 15 minutes after AT, or the
#                          signature limits its own life, which is over;
#        revoked           verifies, by a key that is revoked (gpg does not tell
#                          when or why; a key that was only retired later would
#                          count for the project);
#        unknown-key       no such key;
#        bad-signature     anything else.
#      Documents that are valid or expired-since count.
#   2. A builder is the primary key that signed, not the folder.
#   3. A row is 64 lower-case hex digits, two spaces or a space and a star, and a
#      name; carriage returns and spaces at its end are not part of it. A name of
#      other characters than letters, digits and /.-_+~@:=,%()? , or with an
#      empty, "." or ".." segment, is rejected with its row only.
#   4. An output is a name as it was signed; folders and names of documents do
#      not matter.
#   5. For each builder and name, the document counts that was signed last, by
#      the time that the signature gives; two of the same second both do.
#   6. A name with several digests in one of those documents is ambiguous: it is
#      listed, and this builder has no position on it.
#   7. Else the builder's position is the set of digests in those documents.
#      One builder with one digest: single; several builders and one digest in
#      all: reproduced; several digests: diverged.
#
# Paths must hold no white space. Output, each part sorted, on stdout:
#   count documents N, count STATE N, count rejected-rows N, count VERDICT N,
#   and one line "VERDICT name" for each name.
set -eu
export LC_ALL=C

dir=${1:?usage: guix-sigs-expected.sh DIR [AT]}
at=${2:-$(date +%s)}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT INT TERM
GNUPGHOME=$tmp/gnupg
export GNUPGHOME
mkdir -m 700 "$GNUPGHOME"
cd "$dir"

gpg --batch --quiet --no-autostart --import builder-keys/*.gpg 2>"$tmp/import" || [ -s "$GNUPGHOME/pubring.kbx" ] || {
	cat "$tmp/import" >&2
	exit 1
}

# verify TIME PATH: gpg's status lines for a document, at a time.
verify() {
	gpg --batch --no-autostart --no-auto-check-trustdb --faked-system-time "$1!" --status-fd 1 --verify "$2.asc" "$2" 2>/dev/null || :
}

# One line a document: path, state, primary key, signature's time.
judge() {
	awk -v path="$1" '
		$2 == "GOODSIG" { state = "valid" }
		$2 == "EXPKEYSIG" { state = "expired-since" }
		$2 == "REVKEYSIG" { state = "revoked" }
		$2 == "EXPSIG" { state = "outside-validity" }
		$2 == "NO_PUBKEY" { unknown = 1 }
		$2 == "BADSIG" { state = "bad-signature" }
		$2 == "VALIDSIG" { time = $5; key = $NF }
		END {
			if (state == "") state = unknown ? "unknown-key" : "bad-signature"
			print path, state, (key == "" ? "-" : key), (time == "" ? 0 : time)
		}'
}

for path in [!.]*/*/*.SHA256SUMS; do
	[ -f "$path" ] && [ -f "$path.asc" ] || continue
	verify "$at" "$path" | judge "$path"
done >"$tmp/now"

# What has expired since: was the key valid when it signed?
while read -r path state key time; do
	case $state in
	valid | expired-since)
		if [ "$time" -gt $((at + 900)) ]; then state=outside-validity; fi
		;;
	esac
	if [ "$state" = expired-since ]; then
		judged=$(verify "$time" "$path" | judge "$path")
		case $judged in *" valid "*) ;; *) state=outside-validity ;; esac
	fi
	echo "$path $state $key $time"
done <"$tmp/now" >"$tmp/documents"

awk '{ n++; states[$2]++ } END { print "count documents", n + 0; for (s in states) print "count", s, states[s] }' "$tmp/documents" | sort

# One line a row that counts: key, name, time, path, digest.
awk '$2 == "valid" || $2 == "expired-since"' "$tmp/documents" | while read -r path state key time; do
	awk -v key="$key" -v time="$time" -v path="$path" -v rejected="$tmp/rejected" '
		{ sub(/[ \t\r]+$/, "") }
		$0 == "" { next }
		{ digest = substr($0, 1, 64); gap = substr($0, 65, 2); name = substr($0, 67) }
		digest !~ /^[0-9a-f]+$/ || length(digest) != 64 || (gap != "  " && gap != " *") || name == "" ||
		name !~ /^[A-Za-z0-9\/.\-_+~@:=,%()?]+$/ || ("/" name "/") ~ /\/\.?\.?\// { print path >>rejected; next }
		{ print key, name, time, path, digest }' "$path"
done | sort -u >"$tmp/rows"
[ ! -f "$tmp/rejected" ] || echo "count rejected-rows $(awk 'END { print NR }' "$tmp/rejected")"

# First pass: the latest time for each builder and name. Second: what was said then.
awk '
	NR == FNR { if ($3 + 0 > latest[$1, $2] + 0) latest[$1, $2] = $3; next }
	$3 + 0 != latest[$1, $2] + 0 { next }
	{
		names[$2] = 1
		if (++inDocument[$1, $2, $4] > 1) ambiguous[$1, $2] = 1
		row[++rows] = $1 SUBSEP $2; digestOf[rows] = $5
	}
	END {
		for (i = 1; i <= rows; i++) {
			split(row[i], p, SUBSEP)
			if (row[i] in ambiguous) { listed[p[2]] = 1; continue }
			if (!((p[2], p[1]) in spoke)) { spoke[p[2], p[1]] = 1; builders[p[2]]++ }
			if (!((p[2], digestOf[i]) in said)) { said[p[2], digestOf[i]] = 1; digests[p[2]]++ }
		}
		for (n in names) {
			if (n in listed) print "ambiguous", n
			if (digests[n] > 1) print "diverged", n
			else if (builders[n] > 1) print "reproduced", n
			else if (builders[n] == 1) print "single", n
		}
	}' "$tmp/rows" "$tmp/rows" | sort >"$tmp/verdicts"
awk '{ n[$1]++ } END { for (v in n) print "count", v, n[v] }' "$tmp/verdicts" | sort
cat "$tmp/verdicts"
