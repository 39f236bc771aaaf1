package command

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"repronet/aggregator/admin"
	"repronet/enrolment"
	"repronet/evidence/guixsigs"
	"repronet/evidence/openpgp"
	"repronet/internal/cli"
	"repronet/internal/wire"
	"repronet/signing"
)

func importOpenPGP() cli.Command {
	return cli.Command{
		Name: "builders import-openpgp", Synopsis: "--project NAME DIR [OPTIONS]", Summary: "accept the OpenPGP keys of a project",
		About: `  Enrols the certificates in DIR/builder-keys/*.gpg, as repositories of Guix
  attestations have them, for one project: the checksum documents of the project
  that they sign count from then on. They count for no other project.

  Each file is one operator, however many certificates it holds. The operator's
  name is made of the file's, and of a number where another operator has that
  name; somebody who is enrolled already stays the same operator. Names and
  addresses in the certificates are in attachments to the ledger, not in its
  entries.

  What is enrolled already is passed over, so calling it again after an update of
  DIR enrols what is new.

EXIT STATUS
  0   all certificates are enrolled
  1   some are not; standard error says which
  64  the command was called wrongly

EXAMPLES
  repronet-aggregator builders import-openpgp --project bitcoin-core ~/guix.sigs`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			var s settings
			s.declareData(flags)
			project := flags.String("project", "", "`name` of the project; output keys begin with it")
			tier := flags.String("tier", string(enrolment.Counted), "`tier`: counted (moves verdicts) or open (shown only)")
			return func(ctx context.Context, env *cli.Env, args []string) error {
				if len(args) != 1 || *project == "" {
					return cli.Usagef("want --project NAME and one DIR")
				}
				if err := openpgp.ValidateProject(*project); err != nil {
					return cli.Usagef("--project: %v", err)
				}
				return s.administer(ctx, env, func(service admin.Service) error {
					return newImporter(service, *project, enrolment.Tier(*tier)).run(ctx, env, args[0])
				})
			}
		},
	}
}

// importer enrols the certificates of one directory.
type importer struct {
	service   admin.Service
	project   string
	tier      enrolment.Tier
	known     map[signing.BuilderID]wire.Builder
	operators map[string]bool

	result struct {
		Enrolled int `json:"enrolled"`
		Known    int `json:"known"`
		Skipped  int `json:"skipped"`
	}
}

func newImporter(service admin.Service, project string, tier enrolment.Tier) *importer {
	return &importer{service: service, project: project, tier: tier, known: map[signing.BuilderID]wire.Builder{}, operators: map[string]bool{}}
}

func (i *importer) run(ctx context.Context, env *cli.Env, dir string) error {
	builders, err := i.service.Builders(ctx)
	if err != nil {
		return err
	}
	for _, b := range builders {
		i.known[b.ID], i.operators[b.Operator] = b, true
	}
	tree, err := guixsigs.Open(dir)
	if err != nil {
		return err
	}
	defer tree.Close()
	files, progress := 0, cli.NewProgress(env.Stderr)
	for file, err := range tree.Keys() {
		files++
		if err == nil {
			err = i.file(ctx, file)
		}
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			i.result.Skipped++
			progress.Clear()
			fmt.Fprintf(env.Stderr, "passed over: %v\n", err)
		}
		progress.Show("%d files, %d certificates enrolled, %d known", files, i.result.Enrolled, i.result.Known)
	}
	progress.Clear()
	fmt.Fprintf(env.Stderr, "%d certificates enrolled for %s, %d were known, %d files passed over\n", i.result.Enrolled, i.project, i.result.Known, i.result.Skipped)
	if err := printJSON(env.Stdout, i.result); err != nil {
		return err
	}
	switch {
	case files == 0:
		return fmt.Errorf("%s has no files builder-keys/*.gpg", dir)
	case i.result.Skipped > 0:
		return cli.Exit(cli.Failure)
	}
	return nil
}

// file enrols the certificates of one file as one operator.
func (i *importer) file(ctx context.Context, file *guixsigs.KeyFile) error {
	operator, err := i.operator(file)
	if err != nil {
		return err
	}
	i.operators[operator] = true
	for _, certificate := range file.Certificates {
		if err := i.certificate(ctx, operator, certificate); err != nil {
			return fmt.Errorf("%s: %w", file.Path, err)
		}
	}
	return nil
}

func (i *importer) certificate(ctx context.Context, operator string, certificate *openpgp.Certificate) error {
	packets := certificate.Bytes()
	sum := sha256.Sum256(packets)
	known := i.known[certificate.Builder()]
	if n := slices.IndexFunc(known.OpenPGP, func(c wire.Certificate) bool {
		return c.Project == i.project && c.Certificate == hex.EncodeToString(sum[:])
	}); n >= 0 {
		if known.OpenPGP[n].Erased {
			return fmt.Errorf("certificate %s was erased, and stays so", certificate.Fingerprint())
		}
		i.result.Known++
		return nil
	}
	stored, err := i.service.Attach(ctx, bytes.NewReader(packets))
	if err != nil {
		return err
	}
	e := &enrolment.Enrolment{
		Builder: certificate.Builder(), Operator: operator, Tier: i.tier,
		OpenPGP: &enrolment.OpenPGP{Fingerprint: certificate.Fingerprint(), Project: i.project, Certificate: stored},
	}
	if known.Tier != "" {
		e.Tier = enrolment.Tier(known.Tier) // a project's keys do not decide it
	}
	if _, err := i.service.Enrol(ctx, e); err != nil {
		return err
	}
	i.result.Enrolled++
	known.ID, known.Operator, known.Tier = e.Builder, operator, string(e.Tier)
	known.OpenPGP = append(known.OpenPGP, wire.Certificate{
		Fingerprint: string(e.OpenPGP.Fingerprint), Project: i.project, Certificate: stored.Hex(),
	})
	i.known[e.Builder] = known
	return nil
}

// operator returns who is behind a file: whoever one of its certificates is
// enrolled for, or else somebody new.
func (i *importer) operator(file *guixsigs.KeyFile) (string, error) {
	var operator string
	for _, c := range file.Certificates {
		b, known := i.known[c.Builder()]
		switch {
		case !known:
		case operator == "":
			operator = b.Operator
		case operator != b.Operator:
			return "", fmt.Errorf("%s: its certificates are enrolled for the operators %s and %s: a file is one operator", file.Path, operator, b.Operator)
		}
	}
	if operator != "" {
		return operator, nil
	}
	name := pseudonym(strings.TrimSuffix(path.Base(file.Path), path.Ext(file.Path)))
	operator = name
	for n := 2; i.operators[operator]; n++ {
		suffix := fmt.Sprintf("-%d", n)
		operator = name[:min(len(name), maxOperator-len(suffix))] + suffix
	}
	return operator, nil
}

// maxOperator is the greatest length of an operator's name.
const maxOperator = 40

var notOfOperator = regexp.MustCompile(`[^a-z0-9]+`)

// pseudonym makes an operator's name of a file's.
func pseudonym(name string) string {
	name = strings.Trim(notOfOperator.ReplaceAllString(strings.ToLower(name), "-"), "-")
	if name == "" {
		name = "builder"
	}
	return strings.TrimRight(name[:min(len(name), maxOperator)], "-")
}
