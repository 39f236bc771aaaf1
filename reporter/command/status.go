package command

import (
	"context"
	"flag"
	"fmt"
	"io"
	"time"

	"repronet.dev/internal/cli"
	"repronet.dev/reporter"
	"repronet.dev/reporter/spool"
	"repronet.dev/signing"
)

// A report is what status prints; its JSON form is for other programs.
type report struct {
	Builder    signing.BuilderID `json:"builder"`
	Operator   string            `json:"operator,omitempty"`
	Aggregator string            `json:"aggregator"`
	Directory  string            `json:"directory"`
	*spool.Status
}

func statusCommand() cli.Command {
	return cli.Command{
		Name:     "status",
		Synopsis: "[--json] [--dir DIRECTORY]",
		Summary:  "show what waits, what was acknowledged, and what was refused",
		About: `  Reads the spool; it uses no network and may be called at any time.

EXIT STATUS
  0   the status is on standard output
  1   it could not be read
  64  the command was called wrongly`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			dir := dirFlag(flags)
			asJSON := flags.Bool("json", false, "print one JSON object")
			return func(_ context.Context, env *cli.Env, args []string) error {
				if err := noArguments(args); err != nil {
					return err
				}
				home, err := dir()
				if err != nil {
					return err
				}
				r, err := readReport(home)
				if err != nil {
					return err
				}
				if *asJSON {
					return cli.JSON(env.Stdout, r)
				}
				return r.print(env.Stdout)
			}
		},
	}
}

func readReport(home reporter.Home) (*report, error) {
	config, err := home.Config()
	if err != nil {
		return nil, err
	}
	status, err := home.Spool().Status()
	if err != nil {
		return nil, err
	}
	return &report{
		Builder: config.Builder, Operator: config.Operator, Aggregator: config.Aggregator,
		Directory: string(home), Status: status,
	}, nil
}

func (r *report) print(w io.Writer) error {
	if r.Builder != "" {
		fmt.Fprintf(w, "Builder       %s\n", r.Builder)
	}
	fmt.Fprintf(w, "Aggregator    %s\n", r.Aggregator)
	fmt.Fprintf(w, "Directory     %s\n", r.Directory)
	fmt.Fprintf(w, "Waiting       %d records, %d signed statements\n", r.Waiting, r.Outbox)
	if r.Contact != nil && r.Contact.Held > 0 {
		fmt.Fprintf(w, "Held          %d statements, which are sent again until they are taken: see the last attempt\n", r.Contact.Held)
	}
	fmt.Fprintf(w, "Acknowledged  %d statements, %d outputs", r.Acknowledged.Statements, r.Acknowledged.Outputs)
	if r.Acknowledged.LastIndex != nil {
		fmt.Fprintf(w, "; the last is entry %d of the log, %s", *r.Acknowledged.LastIndex, r.Acknowledged.LastTime.Format(time.RFC3339))
	}
	fmt.Fprintf(w, "\nRetained      %d records, of outputs that no chosen package set has yet: they stay here\n", r.Retained)
	fmt.Fprintf(w, "Kept private  %d outputs, deleted\n", r.KeptPrivate)
	fmt.Fprintf(w, "Refused       %d statements\n", len(r.Refused))
	for _, refused := range r.Refused {
		fmt.Fprintf(w, "  statement %d, %d outputs: %s\n", refused.Sequence, refused.Outputs, refused.Reason)
	}
	if c := r.Contact; c != nil {
		result := "ok"
		if c.Error != "" {
			result = c.Error
		}
		fmt.Fprintf(w, "Last attempt  %s: %s\n", c.At.Format(time.RFC3339), result)
	}
	for _, name := range r.Convictions {
		fmt.Fprintf(w, "Conviction    %s: the aggregator signed two histories of its ledger\n", name)
	}
	for _, name := range r.Corrupt {
		fmt.Fprintf(w, "Damaged file  spool/corrupt/%s\n", name)
	}
	for _, p := range r.Problems {
		fmt.Fprintf(w, "Problem       %s %s: %s\n", p.At.Format(time.RFC3339), p.In, p.Message)
	}
	return nil
}
