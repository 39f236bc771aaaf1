package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/robfig/cron/v3"

	"repronet.dev/api"
	"repronet.dev/ecosystem"
	"repronet.dev/internal/cli"
	"repronet.dev/reporter"
	"repronet.dev/reporter/collect"
)

// askTimeout bounds a request for suggestions.
const askTimeout = time.Minute

// askedFor is for how many times as many suggestions as are wanted the aggregator is asked:
// most volunteers have evaluated but a part of a set.
const askedFor = 10

// doSuggested makes suggested builds, once or by the schedule.
func (c *rebuilding) doSuggested(ctx context.Context, env *cli.Env) error {
	config, err := c.home.Config()
	if err != nil {
		return err
	}
	sets := config.Sets
	if c.set != "" {
		sets = []string{c.set}
	}
	if len(sets) == 0 {
		return cli.Usagef("of which package set is missing: this reporter has chosen none; say --set NAME")
	}
	if config.Report != reporter.ReportAll {
		for _, set := range sets {
			if !slices.Contains(config.Sets, set) {
				return cli.Usagef("what is built of %s would stay on this machine: choose the set first, with 'repronet-reporter init --sets'", set)
			}
		}
	}
	if c.schedule == "" {
		return c.suggestedOnce(ctx, env, config, sets)
	}
	schedule, err := cron.ParseStandard(c.schedule)
	if err != nil {
		return cli.Usagef("--schedule: %w", err)
	}
	for {
		next := schedule.Next(time.Now())
		if next.IsZero() {
			return cli.Usagef("--schedule %q names no time that ever comes", c.schedule)
		}
		fmt.Fprintf(env.Stderr, "the next builds are made at %s\n", next.Format(time.RFC3339))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Until(next)):
		}
		// What went wrong was said, and may be otherwise next time.
		err := c.suggestedOnce(ctx, env, config, sets)
		if exit, ok := errors.AsType[*cli.ExitError](err); err != nil && (!ok || exit.Err != nil) {
			fmt.Fprintf(env.Stderr, "repronet-reporter rebuild: %v\n", err)
		}
	}
}

// suggestedOnce makes as many builds as are wanted of those that are suggested.
func (c *rebuilding) suggestedOnce(ctx context.Context, env *cli.Env, config *reporter.Config, sets []string) error {
	client, err := api.Dial(config.Aggregator, askTimeout)
	if err != nil {
		return err
	}
	defer client.Close()
	var recipes []string
	for _, set := range sets {
		found, err := c.suggestions(ctx, env, client, config, set)
		if err != nil {
			return err
		}
		recipes = append(recipes, found...)
	}
	if recipes = recipes[:min(len(recipes), c.suggested)]; len(recipes) == 0 {
		return &cli.ExitError{Status: exitNotRebuilt, Err: errors.New("there is nothing to build: evaluate more of the package set on this machine ('nix-instantiate'), or wait for its next revision")}
	}
	return c.all(ctx, env, recipes)
}

// suggestions returns the suggested builds of a set that can be made here: those of Nix for
// this system whose derivation the store has.
func (c *rebuilding) suggestions(ctx context.Context, env *cli.Env, client *api.Client, config *reporter.Config, set string) ([]string, error) {
	answer, err := client.Suggestions(ctx, api.SuggestionQuery{
		Set: set, System: collect.Environment("/")["system"], Builder: config.Builder, Limit: min(askedFor*c.suggested, 1000),
	})
	if err != nil {
		return nil, err
	}
	var recipes []string
	for _, s := range answer.Suggestions {
		recipe := s.Build
		if recipe == "" && len(s.Outputs) > 0 { // the set did not say it; the store may
			if found, err := collect.FindDerivations(ctx, c.job.From, s.Outputs[0]); err == nil && len(found) == 1 {
				recipe = found[0]
			}
		}
		if s.Ecosystem != ecosystem.Nix || !collect.HasDerivation(recipe, c.job.From) {
			continue
		}
		recipes = append(recipes, recipe)
	}
	fmt.Fprintf(env.Stderr, "%s at revision %s: %d outputs wait for a second opinion, %d for a first; %d builds suggested, of which %d can be made here\n",
		answer.Set, answer.Revision, answer.Confirmable, answer.Unbuilt, len(answer.Suggestions), len(recipes))
	return recipes, nil
}
