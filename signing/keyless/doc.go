// Package keyless signs with a Sigstore identity in place of a key: what a CI job
// can do that has no place for a secret.
//
// A [Signer] makes a key in memory, has a certificate authority (Fulcio) certify it
// for whom an OpenID Connect token names, signs, and has a timestamp authority
// (RFC 3161) and a transparency log (Rekor, version 2) say that it did. The bundle
// holds all that is needed to check it without asking anybody. The certificate is
// good for some minutes, the token is given to the authority alone, and the key is
// forgotten.
//
//	signer, err := keyless.Load("sigstore:signing_config.json", http.DefaultClient)
//	bundle, err := signer.SignPayload(ctx, payload)
//
// [Signer.SignPayload] signs any in-toto statement, an enrolment request
// (enrolment/request) as well as a claim.
//
// It trusts nothing that the services answer, because it believes nothing of it:
// package sigstore checks bundles, where they are received. Like package signing it
// stays small and does not import sigstore-go: it is in the reporter.
package keyless
