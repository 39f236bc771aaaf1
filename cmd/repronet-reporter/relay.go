package main

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

	"github.com/go-json-experiment/json"

	"repronet/evidence/guixsigs"
	"repronet/evidence/openpgp"
	"repronet/internal/cli"
	"repronet/internal/wire"
	"repronet/reporter"
	"repronet/reporter/relay"
)

const relayAbout = `
  No key is needed: the documents prove themselves, and who relays them is not
  recorded. Those whose keys the aggregator does not know are kept in its ledger
  and do not count; relay them again when the keys are enrolled. Relaying the same
  again changes nothing.

  Every document is accounted for: accepted, kept with the reason why it does not
  count, refused, or failed (it could not be read, or the aggregator's receipt does
  not prove that its log has it). Receipts are checked under the log's key: that
  of --log-key, or the one that 'init' pinned for this aggregator, or else the one
  that the aggregator names, which standard error shows.

EXIT STATUS
  0   everything was accepted, or kept
  1   something was refused or failed; standard error says what
  64  the command was called wrongly
  75  the aggregator could not be reached, or did not take everything: try later`

func relayGuixSigs() cli.Command {
	return cli.Command{
		Name:     "relay guix-sigs",
		Synopsis: "--project NAME --aggregator ADDRESS DIR [OPTIONS]",
		Summary:  "hand on the signed checksums of a project's Guix builds",
		About: `  Relays the documents in a directory of the layout
  VERSION/BUILDER/STAGE.SHA256SUMS with a detached OpenPGP signature in an .asc
  file beside each. The names of folders prove nothing and are not used.
` + relayAbout + `

EXAMPLES
  git clone https://github.com/bitcoin-core/guix.sigs
  repronet-reporter relay guix-sigs --project bitcoin-core \
      --aggregator https://repro.example.org guix.sigs`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			r := declareRelay(flags)
			project := flags.String("project", "", "`name` of the project; output keys begin with it")
			return func(ctx context.Context, env *cli.Env, args []string) error {
				if len(args) != 1 || *project == "" {
					return cli.Usagef("want --project NAME and one DIR")
				}
				if err := openpgp.ValidateProject(*project); err != nil {
					return cli.Usagef("--project: %v", err)
				}
				tree, err := guixsigs.Open(args[0])
				if err != nil {
					return err
				}
				defer tree.Close()
				return r.run(ctx, env, relay.GuixSigs(tree, *project))
			}
		},
	}
}

func relayNarinfo() cli.Command {
	return cli.Command{
		Name:     "relay narinfo",
		Synopsis: "--aggregator ADDRESS (DIR | URL [PATH…]) [OPTIONS]",
		Summary:  "hand on what binary caches signed",
		About: `  Relays signed narinfo: the files *.narinfo in DIR, the one at a URL that ends
  in .narinfo, or those of store PATHs (- reads them from standard input, one a
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
					return r.run(ctx, env, relay.NarinfoFiles(args[0]))
				}
				if len(args) == 1 && !strings.HasSuffix(args[0], ".narinfo") {
					return cli.Usagef("say which PATHs of the cache, or - to read them from standard input")
				}
				const timeout = 30 * time.Second // of one small file
				client := &http.Client{Timeout: timeout}
				return r.run(ctx, env, relay.NarinfoURL(ctx, client, args[0], storePaths(env.Stdin, args[1:])))
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
		asJSON:     flags.Bool("json", false, "print a JSON object of what became of every document"),
	}
}

// accounts is what became of all documents.
type accounts struct {
	Documents  int            `json:"documents"`
	Accepted   int            `json:"accepted"` // and counts
	Kept       int            `json:"kept"`     // and does not count
	Refused    int            `json:"refused"`
	Failed     int            `json:"failed"`     // not read, or not proven to be in the log
	Duplicates int            `json:"duplicates"` // of those accepted and kept
	States     map[string]int `json:"states"`     // of those accepted and kept, by their signatures
	Exceptions []exception    `json:"exceptions"` // all that were not accepted, in order

	later int // refused for now
}

type exception struct {
	Document string `json:"document"`
	Outcome  string `json:"outcome"` // kept, refused, failed
	Reason   string `json:"reason"`
}

const requestTimeout = 2 * time.Minute

func (r *relaying) run(ctx context.Context, env *cli.Env, documents iter.Seq2[*relay.Document, error]) error {
	if *r.aggregator == "" {
		return cli.Usagef("--aggregator is missing")
	}
	home, err := r.home()
	if err != nil {
		return err
	}
	httpClient, base, err := wire.Client(*r.aggregator, requestTimeout)
	if err != nil {
		return cli.Usagef("%w", err)
	}
	defer httpClient.CloseIdleConnections()
	key, text, pinned, err := reporter.LogKeyFor(ctx, home, *r.aggregator, *r.logKey, httpClient, base)
	if err != nil {
		return &cli.ExitError{Status: exitTryLater, Err: err}
	}
	if !pinned {
		fmt.Fprintf(env.Stderr, "log key %s, as the aggregator names it: pin it with --log-key\n", text)
	}
	client := &relay.Client{HTTP: httpClient, Base: base, LogKey: key}
	sums, progress := &accounts{States: map[string]int{}, Exceptions: []exception{}}, cli.NewProgress(env.Stderr)
	err = client.Relay(ctx, documents, func(d *relay.Document, a *relay.Answer) {
		sums.add(d, a)
		progress.Show("%d documents: %d accepted, %d kept and not counted, %d refused, %d failed", sums.Documents, sums.Accepted, sums.Kept, sums.Refused, sums.Failed)
	})
	progress.Clear()
	if printErr := r.print(env, sums); printErr != nil {
		return printErr
	}
	switch {
	case err != nil:
		return &cli.ExitError{Status: exitTryLater, Err: fmt.Errorf("after %d documents: %w", sums.Documents, err)}
	case sums.Refused > sums.later || sums.Failed > 0:
		return cli.Exit(cli.Failure)
	case sums.later > 0:
		return cli.Exit(exitTryLater)
	}
	return nil
}

func (s *accounts) add(d *relay.Document, a *relay.Answer) {
	s.Documents++
	except := func(outcome, reason string) {
		s.Exceptions = append(s.Exceptions, exception{d.Name, outcome, reason})
	}
	switch {
	case a.Err != nil:
		s.Failed++
		except("failed", a.Err.Error())
		return
	case a.Problem != nil:
		s.Refused++
		if !a.Problem.Permanent() {
			s.later++
		}
		except("refused", a.Problem.Detail)
		return
	case a.Reason != "":
		s.Kept++
		except("kept", a.Reason)
	default:
		s.Accepted++
	}
	s.States[a.State]++
	if a.Duplicate {
		s.Duplicates++
	}
}

// print tells the sums, and what was not accepted: reasons of documents that were
// kept once each, because they are many of few kinds.
func (r *relaying) print(env *cli.Env, s *accounts) error {
	reasons := map[string]int{}
	for _, e := range s.Exceptions {
		if e.Outcome == "kept" {
			reasons[e.Reason]++
			continue
		}
		fmt.Fprintf(env.Stderr, "%s %q: %s\n", e.Outcome, e.Document, e.Reason)
	}
	if *r.asJSON {
		return json.MarshalWrite(env.Stdout, s, json.Deterministic(true))
	}
	fmt.Fprintf(env.Stdout, "%d documents: %d accepted, %d kept and not counted, %d refused, %d failed\n", s.Documents, s.Accepted, s.Kept, s.Refused, s.Failed)
	var lines []string
	for reason, n := range reasons {
		lines = append(lines, fmt.Sprintf("  %d kept: %s", n, reason))
	}
	slices.Sort(lines)
	for _, line := range lines {
		if _, err := fmt.Fprintln(env.Stdout, line); err != nil {
			return err
		}
	}
	return nil
}
