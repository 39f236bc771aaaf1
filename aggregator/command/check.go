package command

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"go.yaml.in/yaml/v3"

	"repronet.dev/aggregator"
	"repronet.dev/internal/cli"
)

// checkServer prints a configuration, and below it, as comments of its YAML, what became
// of opening each thing that it names.
func checkServer(ctx context.Context, env *cli.Env, out *output, config aggregator.Config) error {
	text, err := yaml.Marshal(config.Shown())
	if err != nil {
		return err
	}
	settings := map[string]any{}
	if err := yaml.Unmarshal(text, &settings); err != nil { // for JSON, under the settings' names
		return err
	}
	checks := aggregator.CheckConfig(ctx, config)
	result := struct {
		Config map[string]any     `json:"config"`
		Checks []aggregator.Check `json:"checks"`
	}{settings, checks}
	err = out.print(env, result, func(w io.Writer) error {
		fmt.Fprintf(w, "%s\n", text)
		table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
		for _, c := range checks {
			mark := "ok"
			if !c.OK {
				mark = "WRONG"
			}
			fmt.Fprintf(table, "# %s\t%s\t%s\n", mark, c.Setting, strings.ReplaceAll(c.Detail, "\n", " "))
		}
		return table.Flush()
	})
	if err != nil {
		return err
	}
	wrong := 0
	for _, c := range checks {
		if !c.OK {
			wrong++
		}
	}
	if wrong > 0 {
		return fmt.Errorf("%d of %d things that the configuration names do not work: see standard output", wrong, len(checks))
	}
	return nil
}
