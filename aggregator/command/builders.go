package command

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"repronet.dev/aggregator/admin"
	"repronet.dev/api"
	"repronet.dev/enrolment"
	"repronet.dev/evidence/narinfo"
	"repronet.dev/internal/cli"
	"repronet.dev/signing"
)

func enrol() cli.Command {
	return cli.Command{
		Name: "builders enrol", Synopsis: "(--key FILE | --nix-key NAME:BASE64 | --sigstore-issuer URL …) --operator NAME [OPTIONS]", Summary: "accept a builder's statements",
		About: `  Writes an enrolment to the ledger: from then on the builder with this public
  key belongs to the operator, and its statements are accepted. Builders of one
  operator count once. A builder cannot change its operator; enrolling it again
  changes its tier and validity.

  The file holds the public key as PEM, as 'repronet-reporter init' prints it;
  - reads it from standard input. The key of a binary cache is given as Nix writes
  it in trusted-public-keys; the narinfo files that it signed count then.

  A keyless builder, such as a CI job, is enrolled by what its Sigstore certificates
  say: the issuer, the subject, and the repository. The subject has to be the same,
  or, if it begins with "^" and ends with "$", match as a regular expression from
  its beginning to its end. The certificates, timestamps and log entries are
  checked against the trusted root, which becomes part of the ledger. Enrolling the
  same identity with another trusted root renews it: keep in it what was there.

EXAMPLES
  repronet-aggregator builders enrol --key alice.pem --operator alice
  repronet-aggregator builders enrol --operator nixos-cache \
      --nix-key cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=
  repronet-aggregator builders enrol --operator org --trusted-root trusted_root.json \
      --sigstore-issuer https://token.actions.githubusercontent.com \
      --sigstore-subject https://github.com/org/repo/.github/workflows/rebuild.yml@refs/heads/main \
      --sigstore-repository https://github.com/org/repo`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			var s settings
			s.declareData(flags)
			key := flags.String("key", "", "public key `file` (PEM), or - for standard input")
			nixKey := flags.String("nix-key", "", "public `key` of a binary cache, NAME:BASE64")
			var k keyless
			k.declare(flags)
			operator := flags.String("operator", "", "`name` of the party behind the builder: a-z, 0-9 and -")
			tier := flags.String("tier", string(enrolment.Counted), "`tier`: counted (moves verdicts) or open (shown only)")
			notAfter := flags.String("not-after", "", "`date` (2027-01-31) after which the key may not sign")
			var out output
			out.declare(flags)
			return func(ctx context.Context, env *cli.Env, args []string) error {
				given := 0
				for _, isGiven := range []bool{*key != "", *nixKey != "", k.given()} {
					if isGiven {
						given++
					}
				}
				if given != 1 || *operator == "" || len(args) > 0 {
					return cli.Usagef("want one of --key FILE, --nix-key NAME:BASE64 and --sigstore-issuer URL, and --operator NAME, and nothing else")
				}
				e := &enrolment.Enrolment{Operator: *operator, Tier: enrolment.Tier(*tier)}
				var trustedRoot []byte
				var err error
				if k.given() {
					trustedRoot, err = k.read(e)
				} else {
					err = readKey(env.Stdin, *key, *nixKey, e)
				}
				if err != nil {
					return err
				}
				if *notAfter != "" {
					if e.NotAfter, err = time.Parse(time.DateOnly, *notAfter); err != nil {
						return cli.Usagef("--not-after: %v", err)
					}
				}
				return s.administer(ctx, env, func(to admin.Caller) error {
					if e.Keyless != nil {
						stored, err := admin.Attach.DoWith(ctx, to, admin.None{}, admin.Streams{Input: bytes.NewReader(trustedRoot)})
						if err != nil {
							return err
						}
						e.Keyless.TrustedRoot = stored.SHA256
					}
					written, err := admin.Enrol.Do(ctx, to, *e)
					if err != nil {
						return err
					}
					fmt.Fprintf(env.Stderr, "enrolled builder %s of operator %s, tier %s, at ledger index %d\n", e.Builder, e.Operator, e.Tier, written.Index)
					return out.say(env, admin.Approved{Builder: e.Builder, Operator: e.Operator, Tier: e.Tier, Index: written.Index}, "%s", e.Builder)
				})
			}
		},
	}
}

// readKey reads the public key from a file, or as Nix writes it.
func readKey(stdin io.Reader, file, nixKey string, e *enrolment.Enrolment) error {
	if nixKey != "" {
		name, public, err := narinfo.ParseKey(nixKey)
		if err != nil {
			return cli.Usagef("--nix-key: %v", err)
		}
		e.Builder, e.PublicKey, e.NixName = public.Builder(), public.DER(), name
		return nil
	}
	const maxKey = 64 << 10
	var text []byte
	var err error
	if file == "-" {
		text, err = io.ReadAll(io.LimitReader(stdin, maxKey))
	} else {
		text, err = os.ReadFile(file)
	}
	if err != nil {
		return fmt.Errorf("reading the public key: %w", err)
	}
	public, err := signing.ParsePublicKey(text)
	if err != nil {
		return fmt.Errorf("reading the public key: %s: %w", file, err)
	}
	e.Builder, e.PublicKey = public.Builder(), public.DER()
	return nil
}

func revoke() cli.Command {
	return cli.Command{
		Name: "builders revoke", Synopsis: "BUILDER --reason TEXT [OPTIONS]", Summary: "refuse a builder's statements",
		About: `  Writes a revocation to the ledger. The builder's statements are refused from
  then on. What it said before stays, unless --from names an earlier ledger
  index: statements at that index and later do not count any more. The evidence
  itself stays in the ledger.

EXAMPLES
  repronet-aggregator builders revoke n5w… --reason 'key lost'
  repronet-aggregator builders revoke n5w… --from 0 --reason 'never was independent'`,
		Prepare: administrative[admin.Revocation, admin.Revoked]{
			call: admin.Revoke,
			ask: func(flags *flag.FlagSet) func([]string) (admin.Revocation, error) {
				from := flags.Int64("from", -1, "first ledger `index` that does not count; -1 stands for the end")
				reason := flags.String("reason", "", "`text` that is published beside it")
				return func(args []string) (admin.Revocation, error) {
					if len(args) != 1 || *reason == "" {
						return admin.Revocation{}, cli.Usagef("want one BUILDER and --reason TEXT")
					}
					r := admin.Revocation{Builder: args[0], Reason: *reason}
					if *from >= 0 {
						index := uint64(*from)
						r.From = &index
					}
					return r, nil
				}
			},
			show: func(env *cli.Env, out *output, r admin.Revoked) error {
				return out.say(env, r, "revoked builder %s of operator %s at ledger index %d: its statements from index %d on do not count",
					r.Builder, r.Operator, r.Index, r.From)
			},
		}.prepare,
	}
}

func listBuilders() cli.Command {
	return cli.Command{
		Name: "builders list", Synopsis: "[OPTIONS]", Summary: "list the enrolled builders",
		Prepare: administrative[admin.None, []api.RosterBuilder]{
			call: admin.Builders, ask: nothing,
			show: func(env *cli.Env, out *output, builders []api.RosterBuilder) error {
				rows := make([][]string, len(builders))
				for i, b := range builders {
					revoked := "-"
					if b.RevokedFrom != nil {
						revoked = fmt.Sprint(*b.RevokedFrom)
					}
					rows[i] = []string{string(b.ID), b.Operator, string(b.Tier), fmt.Sprint(b.EnrolledAt), revoked}
				}
				return out.table(env, builders, []string{"BUILDER", "OPERATOR", "TIER", "ENROLLED AT", "REVOKED FROM"}, rows)
			},
		}.prepare,
	}
}
