package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"repronet.dev/internal/cli"
	"repronet.dev/reporter"
)

func initCommand() cli.Command {
	return cli.Command{
		Name:     "init",
		Synopsis: "--aggregator ADDRESS (--sets NAME,… | --report all) [OPTIONS]",
		Summary:  "prepare this machine to report builds",
		About: `  Makes the reporter's directory with a new Ed25519 key (or uses the key that
  --key names), records your consent that what you report is published under
  CC0-1.0, and prints who you are now and what to do next.

  Only outputs of the package sets named by --sets leave the machine. Their
  names are looked up in a list that is downloaded whole, so nobody learns what
  was looked for. With --report all everything that is recorded is sent.

  A CI job has no place for a key. With --key sigstore:FILE its identity signs: the
  file is the signing_config.json of a Sigstore deployment, whose authority
  certifies each run for whom the identity token names. The token is SIGSTORE_ID_TOKEN
  (audience "sigstore"), in the file SIGSTORE_ID_TOKEN_FILE, or what GitHub Actions
  gives to a job with the permission "id-token: write". Who runs the aggregator
  enrols the identity.

  Calling it again changes what is given and keeps the rest; a key is never
  replaced.

EXIT STATUS
  0   the directory is ready
  1   it could not be prepared
  64  the command was called wrongly, or consent is missing

EXAMPLES
  repronet-reporter init --aggregator https://repro.example.org --sets nixos-unstable
  repronet-reporter init --aggregator /dns4/repro.example.org/tcp/4001/p2p/12D3KooW… \
      --operator alice --report all --key nix:/etc/nix/attest.key --consent-cc0`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			dir := dirFlag(flags)
			var s reporter.Setup
			flags.StringVar(&s.Aggregator, "aggregator", "", "the aggregator's `address`: https://HOST or a libp2p multiaddr")
			flags.StringVar(&s.Key, "key", "", "the builder's `key`: FILE (PKCS#8), nix:FILE, ssh:FILE, ssh-agent:NAME,\nor sigstore:FILE (signing_config.json) to sign by an identity;\nwithout it a new key is made")
			flags.StringVar(&s.Operator, "operator", "", "your `name` as an operator (a-z, 0-9, -); names of generic builds begin with it")
			flags.StringVar(&s.LogKey, "log-key", "", "the aggregator's log `key`; without it the first answer is trusted")
			flags.StringVar(&s.Audience, "audience", "", "in which `ledgers` the statements count: \"ledger\", only in the aggregator's, or \"all\",\nin each to which anybody carries them (what is meant if it was never given);\nan aggregator older than 0.2.0 takes only the second")
			flags.StringVar(&s.Manifests, "manifests", "", "`yes` or no: whether the names, sizes and hashes of the files in a reported build are told\nwhen others got something else; yes is meant when consent is given")
			sets := flags.String("sets", "", "the package sets to report, `names` separated by commas")
			report := flags.String("report", "", "`all`: report everything, whatever set it is in")
			retain := flags.Uint("retain-days", 30, "for how many `days` what no chosen set has yet is kept here, in case a later\nrevision has it")
			asJSON := flags.Bool("json", false, "print one JSON object in the place of what to do next")
			consent := flags.Bool("consent-cc0", false, "consent to publication under CC0-1.0 without being asked")
			return func(ctx context.Context, env *cli.Env, args []string) error {
				if err := noArguments(args); err != nil {
					return err
				}
				if *report != "" && *report != reporter.ReportAll {
					return cli.Usagef("--report takes only %q", reporter.ReportAll)
				}
				s.ReportAll = *report != ""
				flags.Visit(func(f *flag.Flag) {
					if f.Name == "retain-days" {
						s.RetainDays = retain
					}
				})
				if *sets != "" {
					s.Sets = strings.Split(*sets, ",")
				}
				s.Consent = func() error { return askConsent(env, *consent) }
				return prepare(ctx, env, dir, s, *asJSON)
			}
		},
	}
}

func prepare(ctx context.Context, env *cli.Env, dir func() (reporter.Home, error), s reporter.Setup, asJSON bool) error {
	home, err := dir()
	if err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	prepared, err := home.Prepare(ctx, s)
	if errors.Is(err, reporter.ErrSetup) {
		return cli.Usagef("%w", err)
	}
	if err != nil {
		return err
	}
	if asJSON {
		return writePrepared(env.Stdout, home, prepared)
	}
	return printPrepared(env.Stdout, home, prepared, program)
}

const consentText = `What you report — which outputs your builds had, with which hashes, when, and
traits of the machine such as its kernel version and CPU model — becomes part of
a public log under CC0-1.0. A log cannot forget. Of builds where others got
something else, the names, sizes and hashes of the files in them are published
too, beside the log (--manifests no: they are not).
`

func askConsent(env *cli.Env, given bool) error {
	if given {
		return nil
	}
	yes, err := cli.Ask(env, consentText+"Do you agree?")
	switch {
	case errors.Is(err, cli.ErrNoTerminal):
		return cli.Usagef("consent is missing: say --consent-cc0 if what you report may be published under CC0-1.0")
	case err == nil && !yes:
		return cli.Usagef("without consent nothing can be reported")
	}
	return err
}

// writePrepared prints who this installation is, as JSON.
func writePrepared(w io.Writer, home reporter.Home, p *reporter.Prepared) error {
	who := struct {
		Directory     string   `json:"directory"`
		Aggregator    string   `json:"aggregator"`
		Builder       string   `json:"builder,omitempty"`         // empty where an identity signs
		PublicKey     string   `json:"public_key,omitempty"`      // PEM
		PublicKeyFile string   `json:"public_key_file,omitempty"` // to hand on
		LogKey        string   `json:"log_key,omitempty"`         // empty while it is not known
		Operator      string   `json:"operator,omitempty"`
		Sets          []string `json:"sets,omitempty"`
		All           bool     `json:"all,omitzero"` // what is in no package set is reported too
	}{
		Directory: string(home), Aggregator: p.Config.Aggregator, LogKey: p.LogKey, Operator: p.Config.Operator,
		Sets: p.Config.Sets, All: p.Config.Report == reporter.ReportAll,
	}
	if p.PublicKey != nil {
		who.Builder, who.PublicKey, who.PublicKeyFile = string(p.Config.Builder), string(p.PublicKey.PEM()), p.PublicKeyFile
	}
	return cli.JSON(w, &who)
}

func printPrepared(w io.Writer, home reporter.Home, p *reporter.Prepared, program string) error {
	if p.PublicKey == nil {
		_, err := fmt.Fprintf(w, `Aggregator  %s
Signs by    the identity of whoever runs it, through %s

Next:
1. Who runs the aggregator enrols the identity:
     repronet-aggregator builders enrol --sigstore-issuer URL --sigstore-subject SUBJECT \
       --trusted-root FILE --operator NAME
2. In the job, after the builds:
     %s run --once --dir %s
`, p.Config.Aggregator, strings.TrimPrefix(p.Config.Key, "sigstore:"), program, home)
		return err
	}
	scope := "outputs of " + strings.Join(p.Config.Sets, ", ")
	if p.Config.Report == reporter.ReportAll {
		scope = "everything"
	}
	logKey := p.LogKey
	if logKey == "" {
		logKey = fmt.Sprintf("not known yet, will be pinned by the first 'run' (%v)", p.LogKeyError)
	}
	absolute, err := filepath.Abs(string(home)) // systemd takes no other
	if err != nil {
		return err
	}
	service := reporter.Service{Description: "Report builds to " + p.Config.Aggregator, Program: program, Home: reporter.Home(absolute), User: home.Owner()}
	_, err = fmt.Fprintf(w, `Builder     %s
Aggregator  %s
Log key     %s
Reports     %s
Public key  %s
%s
Next:
1. Ask the aggregator to accept your statements:
     %s enrol --dir %s
2. For Nix, as root (it prints a line for nix.conf):
     %s hook install --dir %s
3. Submit what is recorded, as a service:
     %s run --dir %s
   with systemd, in /etc/systemd/system/repronet-reporter.service:
%s4. See how it is going:
     %s status --dir %s
`, p.Config.Builder, p.Config.Aggregator, logKey, scope, p.PublicKeyFile, p.PublicKey.PEM(),
		program, home, program, home, program, home, indented(service.Unit()), program, home)
	return err
}

// indented puts a text below a numbered line.
func indented(text string) string {
	lines := strings.SplitAfter(strings.TrimSuffix(text, "\n"), "\n")
	for i, line := range lines {
		if line != "\n" {
			lines[i] = "     " + line
		}
	}
	return strings.Join(lines, "") + "\n"
}
