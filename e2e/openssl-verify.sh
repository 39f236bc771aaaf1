#!/usr/bin/env bash
# Checks the signature of an attestation with nothing but openssl: reads the DSSE
# envelope out of a Sigstore bundle, builds what was signed (the pre-authentication
# encoding, https://github.com/secure-systems-lab/dsse/blob/master/protocol.md)
# and verifies it under an Ed25519 or ECDSA P-256 key that the caller trusts.
# Prints the statement when the signature is good.
#
#   e2e/openssl-verify.sh BUNDLE.json KEY.pem
#
# Exit status: 0 verified, 1 not verified, 64 usage.
set -euo pipefail

if [ $# -ne 2 ]; then
	echo "usage: $0 BUNDLE.json KEY.pem" >&2
	exit 64
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# member FILE NAME prints the string value of a member that the bundle has exactly once.
member() {
	local found
	found=$(tr -d '[:space:]' <"$1" | grep -o "\"$2\":\"[^\"]*\"" || true)
	if [ "$(grep -c . <<<"$found")" -ne 1 ]; then
		echo "$1: want one member \"$2\"" >&2
		exit 1
	fi
	found=${found#*\":\"}
	printf %s "${found%\"}"
}

type=$(member "$1" payloadType)
type=${type//\\\//\/} # JSON may write / as \/
member "$1" payload | openssl base64 -d -A >"$work/payload"
member "$1" sig | openssl base64 -d -A >"$work/signature"

printf 'DSSEv1 %d %s %d ' "${#type}" "$type" "$(wc -c <"$work/payload")" >"$work/signed"
cat "$work/payload" >>"$work/signed"

case $(openssl pkey -pubin -in "$2" -noout -text) in
ED25519*) openssl pkeyutl -verify -pubin -inkey "$2" -rawin -in "$work/signed" -sigfile "$work/signature" >&2 ;;
*prime256v1*) openssl dgst -sha256 -verify "$2" -signature "$work/signature" "$work/signed" >&2 ;;
*)
	echo "$2: neither an Ed25519 nor a P-256 key" >&2
	exit 1
	;;
esac
cat "$work/payload"
