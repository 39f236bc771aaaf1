package command

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"
	"strings"
	"time"

	"repronet.dev/api"
	"repronet.dev/evidence/guixsigs"
	"repronet.dev/evidence/openpgp"
	"repronet.dev/internal/cli"
	"repronet.dev/ledger"
	"repronet.dev/reporter"
	"repronet.dev/reporter/relay"
)

const relayAbout = `
  No key is needed: the documents prove themselves, and who relays them is not
  recorded. Those whose keys the aggregator does not know are kept in its ledger
  and do not count; relay them again when the keys are enrolled. Relaying the same
  again changes nothing.

  Every document is accounted for: accepted, kept with the reason why it does not
  count, refused, or failed (it could not be read, or the aggregator's receipt does
  not prove that its log has it); and so is every other file, and every row of a
  document: judged, ambiguous (a name with several digests), not readable (with the
  first such line of each document), or of a document that does not count. Receipts
  are checked under the log's key: that of --log-key, or the one that 'init' pinned
  for this aggregator, or else the one that the aggregator names, which standard
  error shows.

EXIT STATUS
  0   everything was accepted, or kept
  1   something was refused or failed, or nothing was found to relay; standard
      error says what
  64  the command was called wrongly
  75  the aggregator could not be reached, or did not take everything: try later`

func relayGuixSigs() cli.Command {
	return cli.Command{
		Name:     "relay guix-sigs",
		Synopsis: "--project NAME --aggregator ADDRESS DIR [OPTIONS]",
		Summary:  "hand on the signed checksums of a project's builds",
		About: `  Relays the checksum documents in a directory and in all folders in it: texts
  with SHA256SUMS in their names, or with rows of sha256sum, that have a detached
  OpenPGP signature beside them (NAME.asc, .sig, .gpg or .pgp), and clearsigned
  ones. The names of folders prove nothing and are not used.
` + relayAbout + `

EXAMPLES
  git clone https://github.com/bitcoin-core/guix.sigs
  repronet-reporter relay guix-sigs --project bitcoin-core \
      --aggregator https://repro.example.org guix.sigs`,
		Prepare: relayTree(guixsigs.Sums, ledger.SignedSums),
	}
}

func relayGitian() cli.Command {
	return cli.Command{
		Name:     "relay gitian",
		Synopsis: "--project NAME --aggregator ADDRESS DIR [OPTIONS]",
		Summary:  "hand on the signed assertions of a project's Gitian builds",
		About: `  Relays the assertions in a directory and in all folders in it: NAME.assert with a
  detached OpenPGP signature beside it (NAME.assert.sig, .asc, .gpg or .pgp). An
  output is a file that a descriptor made of commits:
  PROJECT/DESCRIPTOR@COMMITS/FILE.
` + relayAbout + `

EXAMPLES
  git clone https://github.com/bitcoin-core/gitian.sigs
  repronet-reporter relay gitian --project bitcoin-core \
      --aggregator https://repro.example.org gitian.sigs`,
		Prepare: relayTree(guixsigs.Assertions, ledger.GitianAssert),
	}
}

// relayTree returns the call of a command that relays a directory of signed texts.
func relayTree(layout guixsigs.Layout, kind ledger.Kind) func(*flag.FlagSet) func(context.Context, *cli.Env, []string) error {
	return func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
		r := declareRelay(flags)
		project := flags.String("project", "", "`name` of the project; output keys begin with it")
		return func(ctx context.Context, env *cli.Env, args []string) error {
			if len(args) != 1 || *project == "" {
				return cli.Usagef("want --project NAME and one DIR")
			}
			if err := openpgp.ValidateProject(*project); err != nil {
				return cli.Usagef("--project: %v", err)
			}
			tree, err := guixsigs.OpenLayout(args[0], layout)
			if err != nil {
				return err
			}
			defer tree.Close()
			sums := newAccounts(layout.Wanted())
			return r.run(ctx, env, sums, relay.Signed(tree, kind, *project, sums.note))
		}
	}
}

func relayNarinfo() cli.Command {
	return cli.Command{
		Name:     "relay narinfo",
		Synopsis: "--aggregator ADDRESS (DIR | URL [PATH…]) [OPTIONS]",
		Summary:  "hand on what binary caches signed",
		About: `  Relays signed narinfo: the files *.narinfo in DIR and in all folders in it, the
  one at a URL that ends in .narinfo, or those of store PATHs (- reads them from standard input, one a
  line) from the binary cache at URL.
` + relayAbout + `

EXAMPLES
  nix path-info -r nixpkgs#hello | repronet-reporter relay narinfo \
      --aggregator https://repro.example.org https://cache.nixos.org -`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			r := declareRelay(flags)
			return func(ctx context.Context, env *cli.Env, args []string) error {
				if len(args) == 0 {
					return cli.Usagef("want DIR or URL")
				}
				if !strings.HasPrefix(args[0], "http://") && !strings.HasPrefix(args[0], "https://") {
					if len(args) > 1 {
						return cli.Usagef("want one DIR, or URL and PATHs")
					}
					sums := newAccounts("files called *.narinfo")
					return r.run(ctx, env, sums, relay.NarinfoFiles(args[0], sums.note))
				}
				if len(args) == 1 && !strings.HasSuffix(args[0], ".narinfo") {
					return cli.Usagef("say which PATHs of the cache, or - to read them from standard input")
				}
				const timeout = 30 * time.Second // of one small file
				client := &http.Client{Timeout: timeout}
				sums := newAccounts("store paths, as arguments or on standard input, one a line")
				return r.run(ctx, env, sums, relay.NarinfoURL(ctx, client, args[0], storePaths(env.Stdin, args[1:])))
			}
		},
	}
}

func storePaths(stdin io.Reader, args []string) iter.Seq[string] {
	if !slices.Equal(args, []string{"-"}) {
		return slices.Values(args)
	}
	return func(yield func(string) bool) {
		for lines := bufio.NewScanner(stdin); lines.Scan(); {
			if line := strings.TrimSpace(lines.Text()); line != "" && !yield(line) {
				return
			}
		}
	}
}

// relaying is the call of a relay command.
type relaying struct {
	home               func() (reporter.Home, error)
	aggregator, logKey *string
	asJSON             *bool
}

func declareRelay(flags *flag.FlagSet) *relaying {
	return &relaying{
		home:       dirFlag(flags),
		aggregator: flags.String("aggregator", "", "the aggregator's `address`: https://HOST or a libp2p multiaddr"),
		logKey:     flags.String("log-key", "", "the aggregator's log `key`"),
		asJSON:     flags.Bool("json", false, "print a JSON object of what became of every document, row and file"),
	}
}

const requestTimeout = 2 * time.Minute

func (r *relaying) run(ctx context.Context, env *cli.Env, sums *accounts, documents iter.Seq2[*relay.Document, error]) error {
	if *r.aggregator == "" {
		return cli.Usagef("--aggregator is missing")
	}
	home, err := r.home()
	if err != nil {
		return err
	}
	client, err := api.Dial(*r.aggregator, requestTimeout)
	if err != nil {
		return cli.Usagef("%w", err)
	}
	defer client.Close()
	key, text, pinned, err := reporter.LogKeyFor(ctx, home, *r.aggregator, *r.logKey, client)
	if err != nil {
		return &cli.ExitError{Status: exitTryLater, Err: err}
	}
	if !pinned {
		fmt.Fprintf(env.Stderr, "log key %s, as the aggregator names it: pin it with --log-key\n", text)
	}
	relays := &relay.Client{API: client, LogKey: key}
	progress := cli.NewProgress(env.Stderr)
	err = relays.Relay(ctx, documents, func(d *relay.Document, a *relay.Answer) {
		sums.add(d, a)
		progress.Show("%s", sums)
	})
	progress.Clear()
	if printErr := sums.print(env, *r.asJSON); printErr != nil {
		return printErr
	}
	if err != nil {
		return &cli.ExitError{Status: exitTryLater, Err: fmt.Errorf("after %d documents: %w", sums.Documents, err)}
	}
	return sums.outcome()
}
